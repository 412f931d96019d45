import { HeadraceError } from "../errors/error.ts";
import { escapeUnits, unescapeUnits } from "./mapping/avro-name.ts";

/** Kafka's limit. It comes from the length of file names. */
const TOPIC_NAME_LIMIT = 249;

/** The Confluent header: a zero byte and the schema id in four bytes. */
export const HEADER_BYTES = 5;

/** The key that version 0.1.0 gave a truncate event. It is not Avro, and most Avro readers fail at it. */
export const OLD_TRUNCATE_KEY: Buffer = Buffer.from("headrace.truncate", "utf8");

/**
 * Whether a record may be a truncate, by its key alone: it is never wrong for a truncate, but takes a document whose key
 * is 0 or an empty text for one. A truncate goes to every partition of a topic.
 */
export function mayBeTruncate(key: Buffer | null): boolean {
  if (key === null) return false;
  // In Avro, the only field is null.
  return key.length === HEADER_BYTES + 1 ? key[HEADER_BYTES] === 0 : key.equals(OLD_TRUNCATE_KEY);
}

/** The compacted topic with the producer's position. It has one partition. */
export function positionsTopic(name: string): string {
  return `${name}.positions`;
}

export function signalsTopic(name: string): string {
  return `${name}.signals`;
}

export function deadLetterTopic(name: string): string {
  return `${name}.dlq`;
}

export function consumerGroup(name: string): string {
  return `headrace.${name}`;
}

export function transactionalId(name: string): string {
  return `headrace.${name}`;
}

/** `<name>.<database>.<collection>`. Characters that Kafka forbids are escaped as `_uXXXX`. */
export function topicOf(name: string, database: string, collection: string): string {
  return `${topicPrefix(name, database)}${escapeTopicPart(collection)}`;
}

/** The collection of a topic; undefined if the topic does not belong to this pipeline and database. */
export function collectionOf(name: string, database: string, topic: string): string | undefined {
  const prefix = topicPrefix(name, database);
  if (!topic.startsWith(prefix) || topic.length === prefix.length) return undefined;
  const collection = unescapeUnits(topic.slice(prefix.length));
  return topicOf(name, database, collection) === topic ? collection : undefined;
}

export interface TopicNameMistake {
  readonly message: string;
  /** Default: that of the error's code. */
  readonly remedy?: string;
}

/**
 * The names of a pipeline's topics. Kafka refuses topics whose names differ only in `.` and `_`, because its metrics
 * cannot tell them apart.
 */
export class TopicNames {
  readonly #topicOf: (collection: string) => string;
  /** By the name in Kafka's metrics: the topic, and what it belongs to. */
  readonly #owners = new Map<string, { readonly topic: string; readonly owner: string }>();

  constructor(name: string, database: string) {
    this.#topicOf = (collection) => topicOf(name, database, collection);
    for (const topic of [positionsTopic(name), signalsTopic(name), deadLetterTopic(name)]) {
      this.#owners.set(metricName(topic), { topic, owner: `Headrace's own topic ${topic}` });
    }
  }

  /** Takes the name of a collection's topic. @returns why Kafka would not allow it beside those taken before */
  claim(collection: string): TopicNameMistake | null {
    const topic = this.#topicOf(collection);
    const owner = `collection ${JSON.stringify(collection)}`;
    if (topic.length > TOPIC_NAME_LIMIT) {
      return {
        message: `The topic name of ${owner} has ${topic.length} characters, but Kafka allows ${TOPIC_NAME_LIMIT}: ${topic}`,
        remedy: "Use a shorter pipeline name, or leave the collection out of the pipeline.",
      };
    }
    const other = this.#owners.get(metricName(topic));
    if (other === undefined) this.#owners.set(metricName(topic), { topic, owner });
    if (other === undefined || (other.topic === topic && other.owner === owner)) return null;
    const message = `The topic names of ${other.owner} and ${owner} differ only in "." and "_", which Kafka does not allow: ${topic}`;
    return { message };
  }
}

function metricName(topic: string): string {
  return topic.replaceAll(".", "_");
}

/** @throws HeadraceError NAME_COLLISION if the topics of the collections cannot exist beside each other */
export function checkTopicNames(name: string, database: string, collections: readonly string[]): void {
  const names = new TopicNames(name, database);
  for (const collection of collections) {
    const mistake = names.claim(collection);
    if (mistake !== null) throw new HeadraceError("NAME_COLLISION", mistake);
  }
}

/**
 * The partition of a record's key. Applies Java's default partitioner to the key without its Confluent header, so that
 * a key stays in its partition when its schema gets a new id.
 */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key, HEADER_BYTES) & 0x7fff_ffff) % partitions;
}

/** Kafka's murmur2 (org.apache.kafka.common.utils.Utils) of the bytes from `start` on. */
function murmur2(bytes: Uint8Array, start: number): number {
  const m = 0x5bd1_e995;
  const length = bytes.length - start;
  let hash = 0x9747_b28c ^ length;
  let at = start;
  for (; at + 4 <= bytes.length; at += 4) {
    let k =
      byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    hash = Math.imul(hash, m) ^ Math.imul(k, m);
  }
  const rest = bytes.length - at;
  if (rest > 2) hash ^= byteAt(bytes, at + 2) << 16;
  if (rest > 1) hash ^= byteAt(bytes, at + 1) << 8;
  if (rest > 0) hash = Math.imul(hash ^ byteAt(bytes, at), m);
  hash = Math.imul(hash ^ (hash >>> 13), m);
  return hash ^ (hash >>> 15);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

/** A database's name contains no dot, so no prefix is the beginning of another database's prefix. */
function topicPrefix(name: string, database: string): string {
  return `${name}.${escapeTopicPart(database)}.`;
}

function escapeTopicPart(text: string): string {
  return escapeUnits(text, (unit) => /[A-Za-z0-9._-]/.test(unit));
}
