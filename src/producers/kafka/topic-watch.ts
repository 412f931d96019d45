import type { Kafka } from "kafkajs";
import type { ErrorKind } from "../../errors/error-table.ts";
import { HeadraceError } from "../../errors/error.ts";
import { fetchConfirmedTopicIds } from "../../kafka/topic-ids.ts";
import type { TopicIds } from "../../kafka/topic-ids.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Position } from "../../schemas/change-event.ts";
import { positionsTopic, signalsTopic, topicOf } from "../../schemas/topics.ts";
import { copyAnew, findMismatches, isOther, signalsLoss } from "./mismatches.ts";
import type { Mismatch, PipelineNow, SignalsNow } from "./mismatches.ts";
import type { KafkaTopics } from "./topics.ts";

/** When records are lost in Kafka: stop, or copy their collections again. */
export type OnRecordsLost = "fail" | "resnapshot";

export interface TopicWatchOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  readonly topics: KafkaTopics;
  /** The collections that are replicated, and which of them exist in MongoDB. */
  readonly collections: { readonly names: readonly string[]; readonly present: readonly string[] };
  /** `mappingFingerprint` of a collection. */
  readonly mappingOf: (collection: string) => string;
  readonly onRecordsLost: OnRecordsLost;
  /** False in snapshot mode `never`. */
  readonly takesSnapshots: boolean;
  readonly logger: Logger;
}

/** How often a running producer looks whether its topics are still the same. */
const LOOK_MS = 10_000;

/**
 * Holds the position and the topics together: a topic that the position knows is never created again without copying its
 * collection, and a collection whose mapping has changed is copied again.
 */
export class TopicWatch {
  readonly #options: TopicWatchOptions;
  #lookedAt = performance.now();
  #finding: HeadraceError | undefined;
  /** As in `Position`. */
  #signalsTopicId: string | null = null;

  constructor(options: TopicWatchOptions) {
    this.#options = options;
  }

  /**
   * Compares a stored position with the pipeline as it is now, and creates the topics that are missing.
   * @returns the position to begin at: collections to copy anew have a new snapshot
   * @throws HeadraceError POSITION_OF_OTHER_DATABASE, TOPIC_DELETED, TOPIC_RECREATED, HISTORY_LOST_IN_KAFKA, or those of
   * `KafkaTopics.prepare`
   */
  async admit(position: Position | null): Promise<Position | null> {
    const { kafka, topics, collections } = this.#options;
    const names = [...new Set([...collections.names, ...topics.known.keys()])];
    const compare = (ids: TopicIds) => findMismatches(position, this.#now(names, ids));
    const ids = await fetchConfirmedTopicIds(kafka, names.map(this.#topicOf), (found) => compare(found).some(isLost));
    const mismatches = compare(ids);
    this.#judge(mismatches);
    const changed = mismatches.map(({ collection }) => collection);
    topics.forget(changed);
    await topics.prepare([...new Set([...collections.present, ...changed])]);
    const signals = await topics.signals();
    const admitted =
      position === null ? null : this.#admitSignals(this.#copyAnew(position, mismatches), names, signals);
    this.#signalsTopicId = signals.topicId;
    this.#finding = undefined;
    this.#lookedAt = performance.now();
    return admitted;
  }

  /** Nobody knows what lost signals asked for: copying everything does at least that. */
  #admitSignals(position: Position, names: readonly string[], found: SignalsNow): Position {
    const { name, onRecordsLost, takesSnapshots, logger } = this.#options;
    const topic = signalsTopic(name);
    const loss = signalsLoss(topic, position, found);
    if (loss === null) return position;
    if (onRecordsLost === "fail") throw loss;
    const signals = { offset: found.low, after: null };
    if (!takesSnapshots) {
      logger.warn(
        { topic },
        `${loss.message} snapshot.mode is never, so nothing is copied: send them again (headrace resync, headrace snapshot).`,
      );
      return { ...position, signals };
    }
    logger.warn({ topic }, `${loss.message} All collections are copied again.`);
    return {
      ...copyAnew(
        position,
        names.filter((collection) => position.snapshots.has(collection)),
      ),
      signals,
    };
  }

  #copyAnew(position: Position, mismatches: readonly Mismatch[]): Position {
    const { takesSnapshots, logger } = this.#options;
    for (const { collection, topic, why } of mismatches) {
      const remedy = takesSnapshots
        ? "the collection is copied again"
        : "snapshot.mode is never, so rows keep the old mapping until their documents change or headrace resync copies them";
      logger.warn({ collection, topic }, `${why}: ${remedy}`);
    }
    return takesSnapshots
      ? copyAnew(
          position,
          mismatches.map(({ collection }) => collection),
        )
      : position;
  }

  /** The position with what `admit` compares. */
  identify(position: Position): Position {
    const { database, topics, mappingOf } = this.#options;
    const identities = [...position.snapshots.keys()].flatMap((collection) => {
      const known = topics.known.get(collection);
      if (known === undefined) return [];
      return [[collection, { topicId: known.topicId, mapping: mappingOf(collection) }] as const];
    });
    const signalsTopicId = this.#signalsTopicId;
    return {
      ...position,
      database,
      signalsTopicId,
      identities: new Map([...(position.identities ?? []), ...identities]),
    };
  }

  /**
   * Looks every ten seconds, in the background, whether the topics are still the same: Kafka accepts records for a topic
   * that was created again without a word.
   * @throws HeadraceError TOPIC_DELETED, TOPIC_RECREATED that an earlier call has found
   */
  check(): void {
    if (this.#finding !== undefined) throw this.#finding;
    if (performance.now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = performance.now();
    const { kafka, name, topics } = this.#options;
    const known = [...topics.known.values(), { topic: signalsTopic(name), topicId: this.#signalsTopicId }];
    const lostIn = (ids: TopicIds) =>
      known.flatMap(({ topic, topicId }) => lostTopic(topic, topicId, ids.get(topic)) ?? []);
    fetchConfirmedTopicIds(
      kafka,
      known.map(({ topic }) => topic),
      (ids) => lostIn(ids).length > 0,
    ).then(
      (ids) => {
        const lost = lostIn(ids);
        if (lost.length > 0) this.#finding = topicsLost(lost, this.#options.onRecordsLost);
      },
      // Kafka is unavailable: publishing finds that out by itself.
      () => {},
    );
  }

  /**
   * Finds out whether topics are gone, after publishing to them has failed with `failure`.
   * @returns `failure`, or TOPIC_DELETED with it as cause
   * @throws HeadraceError
   */
  async explain(failure: HeadraceError): Promise<HeadraceError> {
    const { kafka, name, topics, onRecordsLost } = this.#options;
    if (!SUSPICIOUS.has(failure.code)) return failure;
    const positions = positionsTopic(name);
    const wanted = [positions, ...[...topics.known.values()].map(({ topic }) => topic)];
    const missingIn = (ids: TopicIds) => wanted.filter((topic) => !ids.has(topic));
    const missing = missingIn(await fetchConfirmedTopicIds(kafka, wanted, (ids) => missingIn(ids).length > 0));
    if (missing.length === 0) return failure;
    // Without the positions, a new session would copy everything again: an operator decides that by a new start.
    const answer = missing.includes(positions) ? "fail" : onRecordsLost;
    return topicsLost(
      missing.map((topic) => ({ topic, why: "topic deleted" })),
      answer,
      failure,
    );
  }

  readonly #topicOf = (collection: string): string => topicOf(this.#options.name, this.#options.database, collection);

  #now(collections: readonly string[], ids: TopicIds): PipelineNow {
    const { database, mappingOf } = this.#options;
    const found = collections.map((collection) => {
      const topic = this.#topicOf(collection);
      return [collection, { topic, topicId: ids.get(topic), mapping: mappingOf(collection) }] as const;
    });
    return { database, collections: new Map(found) };
  }

  #judge(mismatches: readonly Mismatch[]): void {
    const lost = mismatches.filter(isLost);
    if (lost.length > 0 && this.#options.onRecordsLost === "fail") throw topicsLost(lost, "fail");
  }
}

/** kafkajs fails with one of these when a topic is gone. */
const SUSPICIOUS: ReadonlySet<string> = new Set(["KAFKA_TOPIC_MISSING", "KAFKA_UNEXPECTED"]);

function isLost({ why }: Mismatch): boolean {
  return why !== "mapping changed";
}

type LostTopic = Pick<Mismatch, "topic" | "why">;

function lostTopic(topic: string, known: string | null, found: string | null | undefined): LostTopic | null {
  if (found === undefined) return { topic, why: "topic deleted" };
  return isOther(known, found) ? { topic, why: "topic recreated" } : null;
}

/** With `resnapshot` the error ends only the session: the next one copies the collections again. */
function topicsLost(lost: readonly LostTopic[], onRecordsLost: OnRecordsLost, cause?: unknown): HeadraceError {
  const kind: ErrorKind = onRecordsLost === "fail" ? "fatal" : "retryable";
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
