import { errorKind, HeadraceError } from "../../errors/error.ts";
import type { ChangeEvent, DocumentEvent } from "../../schemas/change-event.ts";
import { deadLetterHeaders, failureInfo, KEY_HEADER } from "../../schemas/dead-letter.ts";
import type { EventEncoder } from "../../schemas/encoding/event-encoder.ts";
import { canonicalKey } from "../../schemas/keys/document-key.ts";
import { unusableIdText } from "../../schemas/keys/unusable-id.ts";
import { deadLetterTopic, partitionOf } from "../../schemas/topics.ts";
import type { CollectionTopic, ProducerObserver, TopicCatalog } from "../ports.ts";
import type { BatchLimits } from "./batch-limits.ts";
import { batchBytes } from "./batch-records.ts";
import type { TopicRecord } from "./batch-records.ts";
import type { CollectionEncoders } from "./collection-encoders.ts";
import type { EncodingFailures } from "./encoding-failures.ts";

export interface EventRecordsOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly topics: TopicCatalog;
  readonly limits: BatchLimits;
  readonly encoders: CollectionEncoders;
  readonly failures: EncodingFailures;
  readonly observer: ProducerObserver;
}

/** Errors of keys that cannot be published: a delete of such a key has nothing to delete. */
const KEY_ERRORS: ReadonlySet<string> = new Set(["ID_TYPE_MISMATCH", "KEY_INVALID"]);

/** Makes the Kafka records of change events. A document that cannot be encoded becomes a dead letter. */
export class EventRecords {
  readonly #options: EventRecordsOptions;
  readonly #targets = new Map<string, Target>();

  constructor(options: EventRecordsOptions) {
    this.#options = options;
  }

  /** @throws HeadraceError, not poison; DEAD_LETTER_WINDOW if too many documents fail */
  async make(events: readonly ChangeEvent[]): Promise<readonly TopicRecord[]> {
    const records: TopicRecord[] = [];
    const failures = this.#options.failures.begin();
    if (events.some((event) => event.op !== "t" && event.deadLetter !== undefined)) {
      await this.#options.topics.refreshLimits();
    }
    for (const event of events) {
      try {
        const target = this.#targets.get(event.collection) ?? (await this.#target(event));
        if (target !== undefined) this.#addRecords(records, event, target);
        failures.succeeded();
      } catch (error) {
        if (event.op === "t" || errorKind(error) !== "poison") throw error;
        const failure = error as HeadraceError;
        if (event.op === "d" && KEY_ERRORS.has(failure.code)) continue;
        failures.deadLetter(event, failure);
        records.push(await this.#deadLetter(event, failure));
      }
    }
    return records;
  }

  /** Undefined for a truncate or delete if the collection has no records yet. */
  async #target(event: ChangeEvent): Promise<Target | undefined> {
    const { topics, encoders } = this.#options;
    const topic = await topics.topicOf(event.collection);
    const isGone = event.op === "t" || event.op === "d";
    const encoder = await encoders.encoderOf(event.collection, isGone ? null : event.documentKey);
    if (encoder === undefined) return undefined;
    const target = { topic, encoder };
    this.#targets.set(event.collection, target);
    return target;
  }

  #addRecords(records: TopicRecord[], event: ChangeEvent, { topic: { topic, partitions }, encoder }: Target): void {
    if (event.op !== "t" && event.op !== "d" && event.document === null) throw unreadableDocument();
    const { key, value, misfits } = encoder.encode(event);
    for (const column of misfits) this.#options.observer.misfit?.(event.collection, column);
    // Not the event's own time: with it, Kafka would soon delete an old backlog by its retention.
    const timestampMs = Date.now();
    if (event.op === "t") {
      for (let partition = 0; partition < partitions; partition++) {
        records.push({ topic, partition, key, value, timestampMs });
      }
      return;
    }
    const record = { topic, partition: partitionOf(key, partitions), key, value, timestampMs };
    const maxBytes = this.#options.limits.of(topic);
    if (batchBytes([record]) > maxBytes) throw tooLarge(topic, maxBytes);
    records.push(record);
    if (event.op === "d") records.push({ ...record, value: null });
  }

  /** The dead letter has only the key: a replay reads the document again. */
  async #deadLetter(event: DocumentEvent, error: HeadraceError): Promise<TopicRecord> {
    const { name, topics } = this.#options;
    const { topic } = await topics.topicOf(event.collection);
    const key = this.#encodedKey(event);
    const keyText = key === null ? canonicalKeyText(event) : null;
    const headers = deadLetterHeaders({
      ...failureInfo(error),
      topic,
      connectorName: name,
      stage: key === null ? "KEY_CONVERTER" : "VALUE_CONVERTER",
      className: "EventRecords",
      attempts: (event.deadLetter?.attempts ?? 0) + 1,
      version: event.version,
      firstOffset: event.deadLetter?.offset ?? null,
      topicId: topics.deadLetterTopicId,
      unusableId: key === null && keyText === null ? unusableIdText(event.documentKey) : null,
      failedAt: new Date(),
    });
    return {
      topic: deadLetterTopic(name),
      partition: 0,
      key,
      value: null,
      headers: keyText === null ? headers : { ...headers, [KEY_HEADER]: keyText },
      timestampMs: Date.now(),
    };
  }

  /** Null if the key cannot be encoded. */
  #encodedKey({ collection, documentKey, version }: DocumentEvent): Buffer | null {
    const encoder = this.#targets.get(collection)?.encoder;
    return encoder === undefined
      ? null
      : orNull(() => encoder.encode({ op: "d", collection, documentKey, document: null, version }).key);
  }
}

interface Target {
  readonly topic: CollectionTopic;
  readonly encoder: EventEncoder;
}

function canonicalKeyText({ documentKey }: DocumentEvent): string | null {
  return orNull(() => canonicalKey("mixed", documentKey));
}

function orNull<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    return null;
  }
}

function unreadableDocument(): HeadraceError {
  return new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: "A changed document could not be read: MongoDB's driver cannot send its _id back unchanged.",
    remedy:
      "Give the document another _id: no date outside JavaScript's range, no text that is not UTF-8, no name twice.",
  });
}

function tooLarge(topic: string, maxBytes: number): HeadraceError {
  return new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: `The record of a document is larger than the ${maxBytes} bytes that the topic ${topic} allows.`,
    remedy:
      "Raise max.message.bytes of the topic, or make the document smaller. Then replay the dead letter (headrace dlq replay).",
  });
}
