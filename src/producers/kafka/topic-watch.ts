import type { Kafka } from "kafkajs";
import type { ErrorKind } from "../../errors/error-table.ts";
import type { HeadraceError } from "../../errors/error.ts";
import { fetchConfirmedTopicIds } from "../../kafka/topic-ids.ts";
import type { TopicIds } from "../../kafka/topic-ids.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Position } from "../../schemas/change-event.ts";
import { isOther } from "../../schemas/identity.ts";
import { positionsTopic, signalsTopic } from "../../schemas/topics.ts";
import { findLosses, refusalOf } from "./losses.ts";
import { copyAnew, signalsTopicLost, topicsLost } from "./mismatches.ts";
import type { LostTopic, Mismatch, SignalsNow } from "./mismatches.ts";
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
    const { topics, collections, onRecordsLost } = this.#options;
    const names = [...new Set([...collections.names, ...topics.known.keys()])];
    const losses = await findLosses({ ...this.#options, collections: names, position: async () => position });
    const refusal = onRecordsLost === "fail" ? refusalOf(losses) : null;
    if (refusal !== null) throw refusal;
    const { mismatches } = losses;
    const changed = mismatches.map(({ collection }) => collection);
    topics.forget(changed);
    await topics.prepare([...new Set([...collections.present, ...changed])]);
    const signals = await topics.signals();
    const copied = position && this.#copyAnew(position, mismatches);
    const admitted = copied && losses.signals ? this.#passSignals(copied, names, losses.signals, signals) : copied;
    this.#signalsTopicId = signals.topicId;
    this.#finding = undefined;
    this.#lookedAt = performance.now();
    return admitted;
  }

  /** Nobody knows what lost signals asked for: copying everything does at least that. */
  #passSignals(position: Position, names: readonly string[], loss: HeadraceError, found: SignalsNow): Position {
    const { name, takesSnapshots, logger } = this.#options;
    const topic = signalsTopic(name);
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
          new Set(mismatches.flatMap(({ collection, hasOtherFilter }) => (hasOtherFilter ? [collection] : []))),
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
   * Looks in the background whether the topics are still the same: Kafka accepts records for a topic that was created again
   * without a word.
   * @throws HeadraceError TOPIC_DELETED, TOPIC_RECREATED that an earlier call has found
   */
  check(): void {
    if (this.#finding !== undefined) throw this.#finding;
    if (performance.now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = performance.now();
    const { kafka, name, topics } = this.#options;
    const known = [...topics.known.values()].map(({ topic }) => topic);
    fetchConfirmedTopicIds(kafka, [...known, signalsTopic(name)], (ids) => this.#lossIn(ids) !== undefined).then(
      (ids) => (this.#finding = this.#lossIn(ids)),
      // Kafka is unavailable: publishing finds that out by itself.
      () => {},
    );
  }

  #lossIn(ids: TopicIds): HeadraceError | undefined {
    const { name, topics, onRecordsLost } = this.#options;
    const kind = kindOf(onRecordsLost);
    const lost = [...topics.known.values()].flatMap(
      ({ topic, topicId }) => lostTopic(topic, topicId, ids.get(topic)) ?? [],
    );
    if (lost.length > 0) return topicsLost(lost, kind);
    const ofSignals = signalsTopic(name);
    const lostSignals = lostTopic(ofSignals, this.#signalsTopicId, ids.get(ofSignals));
    return lostSignals === null ? undefined : signalsTopicLost(lostSignals, kind);
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
      kindOf(answer),
      failure,
    );
  }
}

/** kafkajs fails with one of these when a topic is gone. */
const SUSPICIOUS: ReadonlySet<string> = new Set(["KAFKA_TOPIC_MISSING", "KAFKA_UNEXPECTED"]);

function lostTopic(topic: string, known: string | null, found: string | null | undefined): LostTopic | null {
  if (found === undefined) return { topic, why: "topic deleted" };
  return isOther(known, found) ? { topic, why: "topic recreated" } : null;
}

/** With `resnapshot` the error ends only the session: the next one copies the collections again. */
function kindOf(onRecordsLost: OnRecordsLost): ErrorKind {
  return onRecordsLost === "fail" ? "fatal" : "retryable";
}
