import { protocolError } from "./kafkajs-internals.ts";
import type { KafkajsExchange } from "./kafkajs-internals.ts";
import { ResponseReader, array, int32, int8, string } from "./primitives.ts";

// Requests that kafkajs lacks, in versions that every broker since Kafka 2.3 has (https://kafka.apache.org/protocol).

/** An answer about one topic or group. */
export interface ResourceAnswer {
  /** 0: no error. */
  readonly errorCode: number;
  /** What the client may do: bit n stands for the operation with the code n. `UNKNOWN_OPERATIONS`: not told. */
  readonly operations: number;
}

/** The answer of a broker that does not tell what the client may do. */
export const UNKNOWN_OPERATIONS = -2_147_483_648;

/** What the client may do with topics: Metadata, version 8. */
export function topicRightsExchange(topics: readonly string[]): KafkajsExchange<Map<string, ResourceAnswer>> {
  const NO = int8(0);
  const YES = int8(1);
  // No automatic creation, nothing about the cluster, but about the topics.
  const request = Buffer.concat([array(topics, string), NO, NO, YES]);
  return exchange({ apiKey: 3, apiVersion: 8, apiName: "Metadata" }, request, (reader) => {
    reader.int32(); // throttle_time_ms
    reader.array(() => {
      reader.int32(); // node_id
      reader.string(); // host
      reader.int32(); // port
      reader.string(); // rack
    });
    reader.string(); // cluster_id
    reader.int32(); // controller_id
    return new Map(reader.array(() => readTopic(reader)));
  });
}

function readTopic(reader: ResponseReader): [topic: string, answer: ResourceAnswer] {
  const errorCode = reader.int16();
  const topic = reader.string();
  reader.int8(); // is_internal
  reader.array(() => {
    reader.int16(); // error_code
    for (let numbers = 0; numbers < 3; numbers++) reader.int32(); // partition_index, leader_id, leader_epoch
    for (let lists = 0; lists < 3; lists++) reader.array(() => reader.int32()); // replicas, in-sync, offline
  });
  return [topic, { errorCode, operations: reader.int32() }];
}

/** What the client may do with a consumer group, asked of its coordinator: DescribeGroups, version 3. */
export function groupRightsExchange(groupId: string): KafkajsExchange<ResourceAnswer> {
  const request = Buffer.concat([array([groupId], string), int8(1)]);
  return exchange({ apiKey: 15, apiVersion: 3, apiName: "DescribeGroups" }, request, (reader) => {
    reader.int32(); // throttle_time_ms
    const [answer] = reader.array(() => {
      const errorCode = reader.int16();
      for (let texts = 0; texts < 4; texts++) reader.string(); // group_id, group_state, protocol_type, protocol_data
      reader.array(() => {
        for (let texts = 0; texts < 3; texts++) reader.string(); // member_id, client_id, client_host
        for (let blobs = 0; blobs < 2; blobs++) reader.bytes(); // member_metadata, member_assignment
      });
      return { errorCode, operations: reader.int32() };
    });
    return answer ?? { errorCode: 0, operations: UNKNOWN_OPERATIONS };
  });
}

const TOPIC = int8(2);
const SET = int8(0);

/** Sets some settings of a topic, and leaves the others: IncrementalAlterConfigs, version 0. */
export function setTopicExchange(
  topic: string,
  settings: ReadonlyMap<string, string>,
): KafkajsExchange<{ errorCode: 0 }> {
  const entries = array([...settings], ([name, value]) => Buffer.concat([string(name), SET, string(value)]));
  const request = Buffer.concat([int32(1), TOPIC, string(topic), entries, int8(0)]);
  return exchange({ apiKey: 44, apiVersion: 0, apiName: "IncrementalAlterConfigs" }, request, (reader) => {
    reader.int32(); // throttle_time_ms
    const [errorCode = 0] = reader.array(() => reader.int16());
    if (errorCode !== 0) throw protocolError(errorCode);
    return { errorCode };
  });
}

/** @param read must not return null or undefined: kafkajs reads a field of what it returns */
function exchange<T extends object>(
  request: { readonly apiKey: number; readonly apiVersion: number; readonly apiName: string },
  bytes: Buffer,
  read: (reader: ResponseReader) => T,
): KafkajsExchange<T> {
  return {
    request: { ...request, encode: () => Promise.resolve({ buf: bytes, buffer: bytes }) },
    response: {
      // Async, so that what it throws rejects.
      decode: async (response) => read(new ResponseReader(request.apiName, response)),
      parse: (answer: T) => Promise.resolve(answer),
    },
  };
}
