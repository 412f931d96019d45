import { HeadraceError } from "../errors/error.ts";
import { escapeUnits, unescapeUnits } from "./mapping/avro-name.ts";

/** Kafka's limit. It comes from the length of file names. */
const TOPIC_NAME_LIMIT = 249;

/** The Confluent header: a zero byte and the schema id in four bytes. */
export const HEADER_BYTES = 5;

/** The key of a truncate event. Not Avro, without a header. A truncate goes to every partition of a topic. */
export const TRUNCATE_KEY: Buffer = Buffer.from("headrace.truncate", "utf8");

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

/**
 * Checks the names of the pipeline's topics. Kafka refuses topics whose names differ only in `.` and `_`, because its
 * metrics cannot tell them apart.
 * @throws HeadraceError NAME_COLLISION for such collections, and for names that are too long
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
        message: `The topic name of ${owner} has ${topic.length} characters, but Kafka allows ${TOPIC_NAME_LIMIT}: ${topic}`,
        remedy: "Use a shorter pipeline name, or leave the collection out of the pipeline.",
      });
    }
    const metricName = topic.replaceAll(".", "_");
    const other = owners.get(metricName);
    if (other !== undefined) {
      throw new HeadraceError("NAME_COLLISION", {
        message: `The topic names of ${other} and ${owner} differ only in "." and "_", which Kafka does not allow: ${topic}`,
      });
    }
    owners.set(metricName, owner);
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
