import { HeadraceError } from "../errors/error.ts";
import { escapeUnits, unescapeUnits } from "./mapping/avro-name.ts";

/** Kafka's limit, as its file names have one. */
const TOPIC_NAME_LIMIT = 249;

/** The Confluent header: a zero byte and the schema id in four. */
export const HEADER_BYTES = 5;

/** The key of a truncate event: no Avro, no header. It goes to every partition, so it says nothing about one. */
export const TRUNCATE_KEY: Buffer = Buffer.from("headrace.truncate", "utf8");

/** The compacted topic of one partition that keeps the producer's position. */
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

/** `<name>.<database>.<collection>`, what Kafka forbids in it escaped as `_uXXXX`. */
export function topicOf(name: string, database: string, collection: string): string {
  return `${topicPrefix(name, database)}${escapeTopicPart(collection)}`;
}

/** The collection of a topic; undefined where the topic is none of this pipeline and database. */
export function collectionOf(name: string, database: string, topic: string): string | undefined {
  const prefix = topicPrefix(name, database);
  if (!topic.startsWith(prefix) || topic.length === prefix.length) return undefined;
  const collection = unescapeUnits(topic.slice(prefix.length));
  return topicOf(name, database, collection) === topic ? collection : undefined;
}

/**
 * Kafka holds topics that differ only in `.` and `_` for one, since its metrics do.
 * @throws HeadraceError NAME_COLLISION for such collections, and for names longer than Kafka takes.
 */
export function checkTopicNames(name: string, database: string, collections: readonly string[]): void {
  const owners = new Map<string, string>();
  const topics: [topic: string, owner: string][] = [
    ...[positionsTopic(name), signalsTopic(name), deadLetterTopic(name)].map((topic): [string, string] => [
      topic,
      `Headrace's own topic ${topic}`,
    ]),
    ...collections.map((collection): [string, string] => [
      topicOf(name, database, collection),
      `collection ${JSON.stringify(collection)}`,
    ]),
  ];
  for (const [topic, owner] of topics) {
    if (topic.length > TOPIC_NAME_LIMIT) {
      throw new HeadraceError("NAME_COLLISION", {
        message: `The topic of ${owner} has ${topic.length} characters; Kafka takes ${TOPIC_NAME_LIMIT}: ${topic}`,
        remedy: "Use a shorter pipeline name, or leave the collection out.",
      });
    }
    const metricName = topic.replaceAll(".", "_");
    const other = owners.get(metricName);
    if (other !== undefined) {
      throw new HeadraceError("NAME_COLLISION", {
        message: `The topics of ${other} and ${owner} are one for Kafka, which does not tell "." from "_": ${topic}`,
      });
    }
    owners.set(metricName, owner);
  }
}

/**
 * The partition of a key as it stands in Kafka, Confluent header included. Java's default partitioner over the
 * Avro body alone, so that a new schema id moves no key.
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

/** A database's name holds no dot, so the prefix of one is never that of another. */
function topicPrefix(name: string, database: string): string {
  return `${name}.${escapeTopicPart(database)}.`;
}

function escapeTopicPart(text: string): string {
  return escapeUnits(text, (unit) => /[A-Za-z0-9._-]/.test(unit));
}
