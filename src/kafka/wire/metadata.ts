import { HeadraceError } from "../../errors/error.ts";
import type { KafkajsExchange } from "./kafkajs-internals.ts";

/** The first version whose response has topic ids (KIP-516; brokers from 2.8 on). */
export const METADATA_VERSION = 10;

/** The id of a topic that has none: such a topic was made by an old broker, with ZooKeeper. */
const NO_ID = "00000000000000000000000000000000";

/** What a broker tells of a topic. */
export interface TopicMetadata {
  /** 32 hexadecimal digits; null if the topic has none. */
  readonly id: string | null;
  /** Kafka's code for why the broker does not tell the partitions, as where the user may not see them; 0: it does. */
  readonly errorCode: number;
  /** The broker that leads each partition; -1 while there is none. */
  readonly leaders: ReadonlyMap<number, number>;
}

/** Of the topics that exist, by name. */
export type TopicsMetadata = ReadonlyMap<string, TopicMetadata>;

/** Metadata requests, in kafkajs's `broker.versions`. */
export const METADATA_KEY = 3;

/**
 * Asks a broker about topics, in Metadata requests of version 10 (https://kafka.apache.org/protocol).
 * @param topics null: all that the user may see
 */
export function metadataExchange(topics: readonly string[] | null): KafkajsExchange<TopicsMetadata> {
  return {
    request: {
      apiKey: METADATA_KEY,
      apiVersion: METADATA_VERSION,
      apiName: "Metadata",
      encode: async () => {
        const bytes = encodeRequest(topics);
        return { buf: bytes, buffer: bytes };
      },
    },
    response: { decode: async (bytes) => decodeResponse(bytes), parse: async (metadata) => metadata },
  };
}

/** kafkajs writes the header as before KIP-482; its last part, the empty list of tagged fields, is our first byte. */
function encodeRequest(topics: readonly string[] | null): Buffer {
  const parts = [Buffer.from([0]), varint(topics === null ? 0 : topics.length + 1)];
  for (const topic of topics ?? []) {
    const name = Buffer.from(topic);
    parts.push(Buffer.alloc(16), varint(name.length + 1), name, Buffer.from([0]));
  }
  // No automatic creation, no lists of what the client may do, no tagged fields.
  parts.push(Buffer.from([0, 0, 0, 0]));
  return Buffer.concat(parts);
}

/** @throws HeadraceError KAFKA_RESPONSE_UNREADABLE */
function decodeResponse(bytes: Buffer): TopicsMetadata {
  try {
    return readResponse(new CompactReader(bytes));
  } catch (error) {
    throw new HeadraceError("KAFKA_RESPONSE_UNREADABLE", { message: "The metadata of topics is not readable." }, error);
  }
}

function readResponse(reader: CompactReader): TopicsMetadata {
  reader.tags();
  reader.skip(4); // throttle_time_ms
  reader.array(() => {
    reader.skip(4); // node_id
    reader.string(); // host
    reader.skip(4); // port
    reader.string(); // rack
    reader.tags();
  });
  reader.string(); // cluster_id
  reader.skip(4); // controller_id
  const topics = new Map<string, TopicMetadata>();
  reader.array(() => {
    const errorCode = reader.int16();
    const name = reader.string() ?? "";
    const id = reader.hex(16);
    reader.skip(1); // is_internal
    const leaders = new Map<number, number>();
    reader.array(() => leaders.set(...readLeader(reader)));
    reader.skip(4); // topic_authorized_operations
    reader.tags();
    if (errorCode !== UNKNOWN_TOPIC) topics.set(name, { id: id === NO_ID ? null : id, errorCode, leaders });
  });
  return topics;
}

const UNKNOWN_TOPIC = 3;

/** A partition and its leader. */
function readLeader(reader: CompactReader): [number, number] {
  reader.skip(2); // error_code
  const partition = reader.int32();
  const leader = reader.int32();
  reader.skip(4); // leader_epoch
  for (let lists = 0; lists < 3; lists++) reader.array(() => reader.skip(4)); // replicas, in-sync, offline
  reader.tags();
  return [partition, leader];
}

/** Reads the types of the protocol's flexible versions (KIP-482). */
class CompactReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new RangeError("the response ends too early");
  }

  int16(): number {
    const at = this.#at;
    this.skip(2);
    return this.#bytes.readInt16BE(at);
  }

  int32(): number {
    const at = this.#at;
    this.skip(4);
    return this.#bytes.readInt32BE(at);
  }

  hex(bytes: number): string {
    const at = this.#at;
    this.skip(bytes);
    return this.#bytes.toString("hex", at, this.#at);
  }

  string(): string | null {
    const length = this.#varint();
    if (length === 0) return null;
    const at = this.#at;
    this.skip(length - 1);
    return this.#bytes.toString("utf8", at, this.#at);
  }

  array(readItem: () => void): void {
    for (let left = this.#varint() - 1; left > 0; left--) readItem();
  }

  tags(): void {
    for (let left = this.#varint(); left > 0; left--) {
      this.#varint();
      this.skip(this.#varint());
    }
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const at = this.#at;
      this.skip(1);
      const byte = this.#bytes.readUInt8(at);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
