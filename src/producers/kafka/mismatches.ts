import type { ErrorKind } from "../../errors/error-table.ts";
import { HeadraceError } from "../../errors/error.ts";
import { latest, newSnapshot } from "../../schemas/change-event.ts";
import type { CollectionIdentity, Position } from "../../schemas/change-event.ts";
import { isOther } from "../../schemas/identity.ts";
import { isOtherFilter } from "../../schemas/mapping/fingerprint.ts";

/** What a pipeline is now, to be compared with its position. */
export interface PipelineNow {
  readonly database: string;
  /** The collections that it replicates now. */
  readonly collections: ReadonlyMap<string, CollectionNow>;
}

export interface CollectionNow {
  readonly topic: string;
  /** As in `CollectionIdentity`; undefined if the topic does not exist. */
  readonly topicId: string | null | undefined;
  readonly mapping: string;
}

/** The signals topic. */
export interface SignalsNow {
  /** As in `CollectionIdentity`. */
  readonly topicId: string | null;
  /** The first offset that Kafka still has, and the end. */
  readonly low: bigint;
  readonly high: bigint;
}

/** Why the position no longer fits a collection. After each of them the collection has to be copied anew. */
export type Mismatch = (LostTopic | { readonly topic: string; readonly why: "mapping changed" }) & {
  readonly collection: string;
  /** Whether the filter is another one: then the rows of documents that do not match it must go. */
  readonly hasOtherFilter: boolean;
};

export interface LostTopic {
  readonly topic: string;
  readonly why: "topic deleted" | "topic recreated";
}

export function isLost(mismatch: Mismatch): mismatch is Mismatch & LostTopic {
  return mismatch.why !== "mapping changed";
}

/**
 * Compares a stored position with what the pipeline is now. A collection that the position does not know cannot mismatch:
 * it is new. What a position of version 0.1.0 does not say counts as the same, without a filter. Pure.
 * @throws HeadraceError POSITION_OF_OTHER_DATABASE
 */
export function findMismatches(position: Position | null, now: PipelineNow): readonly Mismatch[] {
  if (position === null) return [];
  requireSameDatabase(position, now.database);
  const { snapshots, identities } = position;
  return [...now.collections].flatMap(([collection, found]) => {
    // A collection of the config that does not exist yet has no topic.
    const isUnused = identities !== undefined && !identities.has(collection);
    if (!snapshots.has(collection) || isUnused) return [];
    const stored = identities?.get(collection);
    // Version 0.1.0 had no filters.
    const hasOtherFilter = isOtherFilter(stored?.mapping ?? "", found.mapping);
    const why = compare(stored, found) ?? (hasOtherFilter ? "mapping changed" : null);
    return why === null ? [] : [{ collection, topic: found.topic, why, hasOtherFilter }];
  });
}

function compare(stored: CollectionIdentity | undefined, found: CollectionNow): Mismatch["why"] | null {
  const { topicId, mapping } = found;
  if (topicId === undefined) return "topic deleted";
  if (isOther(stored?.topicId, topicId)) return "topic recreated";
  return isOther(stored?.mapping, mapping) ? "mapping changed" : null;
}

/**
 * Why requests are lost that the producer had not carried out; null where there may be none. They may have asked for copies
 * that tables wait for.
 * @param now null: the topic does not exist
 */
export function signalsLoss(topic: string, position: Position, now: SignalsNow | null): HeadraceError | null {
  if (now === null) return signalsTopicLost({ topic, why: "topic deleted" }, "fatal");
  const { signals, signalsTopicId } = position;
  const { topicId, low, high } = now;
  if (isOther(signalsTopicId, topicId) || signals.offset > high)
    return signalsTopicLost({ topic, why: "topic recreated" }, "fatal");
  if (signals.offset >= low) return null;
  const message = `Kafka has deleted the requests before offset ${low} of the signals topic ${topic}, but the producer had carried out only those before offset ${signals.offset}.`;
  return new HeadraceError("HISTORY_LOST_IN_KAFKA", { message, remedy: COPY_ALL });
}

/** The error for a signals topic that is gone, or another one. */
export function signalsTopicLost({ topic, why }: LostTopic, kind: ErrorKind): HeadraceError {
  const isGone = why === "topic deleted";
  const what = isGone ? "Kafka no longer has the" : "Somebody deleted and created again the";
  const message = `${what} signals topic ${topic}. Requests (snapshot, resync, dlq replay) that the producer had not carried out are lost.`;
  return new HeadraceError(isGone ? "TOPIC_DELETED" : "TOPIC_RECREATED", { kind, message, remedy: COPY_ALL });
}

const COPY_ALL =
  "Check that kafka.brokers names the right Kafka. Then start the producer with `kafka.onHistoryLost: resnapshot`: it copies all collections again, which does at least what the lost requests asked for.";

/** The error for topics of collections that are gone, or others. */
export function topicsLost(lost: readonly LostTopic[], kind: ErrorKind, cause?: unknown): HeadraceError {
  const deleted = lost.filter(({ why }) => why === "topic deleted").map(({ topic }) => topic);
  const recreated = lost.filter(({ why }) => why === "topic recreated").map(({ topic }) => topic);
  const message = [
    ...(deleted.length > 0
      ? [`Kafka no longer has the topics that this pipeline has used: ${deleted.join(", ")}.`]
      : []),
    ...(recreated.length > 0
      ? [`These topics were deleted and created again since this pipeline has used them: ${recreated.join(", ")}.`]
      : []),
  ].join(" ");
  return new HeadraceError(deleted.length > 0 ? "TOPIC_DELETED" : "TOPIC_RECREATED", { kind, message }, cause);
}

/**
 * The position from which these collections are copied anew, each with a sweep at the end. After a change of the filter, the
 * sweep takes everything that was published before, also what is as new as the position, so the copy begins after that.
 * @param otherFilters those of the collections whose filter has changed
 */
export function copyAnew(
  position: Position,
  collections: readonly string[],
  otherFilters: ReadonlySet<string> = new Set(),
): Position {
  const { clusterTime, horizon, snapshots } = position;
  const restarted = collections.map((collection) => {
    const before = snapshots.get(collection);
    const owed = before?.state === "running" ? (before.sweepBelow ?? 0n) : 0n;
    const sweepBelow = otherFilters.has(collection) ? latest(clusterTime, horizon) + 1n : clusterTime;
    return [collection, newSnapshot(latest(sweepBelow, owed))] as const;
  });
  return { ...position, snapshots: new Map([...snapshots, ...restarted]) };
}

/** @throws HeadraceError POSITION_OF_OTHER_DATABASE */
export function requireSameDatabase(position: Position, database: string): void {
  if (position.database === undefined || position.database === database) return;
  throw new HeadraceError("POSITION_OF_OTHER_DATABASE", {
    message: `The pipeline's position belongs to the database ${JSON.stringify(position.database)}, but mongodb.database is ${JSON.stringify(database)}.`,
  });
}
