// What a cluster of one broker does not do: leaders that move, and throttling.
import { KafkaJSProtocolError } from "kafkajs";
import type { Kafka } from "kafkajs";
import { expect, test, vi } from "vitest";
import { followPartition } from "../../src/kafka/topic-reader.ts";
import type { FetchedPart } from "../../src/kafka/topic-reader.ts";

/** What a broker answers to a Fetch request from an offset. */
type Answer = (offset: bigint) => object;

interface FakeCluster {
  readonly leader: number;
  readonly answer: Answer;
}

const place = { topic: "t", partition: 0, from: 7n, signal: new AbortController().signal, doing: "testing" };

/** A client whose connections see one cluster after the other, and how many of them are open. */
function fakeKafka(...clusters: FakeCluster[]) {
  const open = new Set<object>();
  const fetches: string[] = [];
  const createCluster = (): object => {
    const { leader, answer } = clusters.shift() ?? { leader: -1, answer: () => ({}) };
    const cluster = {
      connect: async () => void open.add(cluster),
      disconnect: async () => void open.delete(cluster),
      addTargetTopic: async () => {},
      findTopicPartitionMetadata: () => [{ partitionId: 0, leader }],
      findBroker: async ({ nodeId }: { nodeId: number }) => {
        if (nodeId === -1) throw Object.assign(new Error("none"), { name: "KafkaJSBrokerNotFound", retriable: true });
        return {
          fetch: async ({ topics: [topic] }: { topics: { partitions: { fetchOffset: string }[] }[] }) => {
            const offset = topic?.partitions[0]?.fetchOffset ?? "";
            fetches.push(`${nodeId}: ${offset}`);
            return answer(BigInt(offset));
          },
        };
      },
    };
    return cluster;
  };
  const kafka = { [Symbol("private:Kafka:createCluster")]: createCluster } as unknown as Kafka;
  return { kafka, open, fetches };
}

function response(last: bigint | null, stableEnd: bigint): object {
  const part = { records: [], bounds: last === null ? null : { first: 0n, last } };
  const partition = { part, lastStableOffset: String(stableEnd), lastStartOffset: "0" };
  return { responses: [{ partitions: [partition] }] };
}

async function nextOf(kafka: Kafka): Promise<FetchedPart> {
  for await (const part of followPartition(kafka, place)) return part;
  throw new Error("no part");
}

test("when the leader moves it reads on from the new one, at the same offset", async () => {
  const moved = () => {
    throw Object.assign(new KafkaJSProtocolError("moved"), { type: "NOT_LEADER_FOR_PARTITION", retriable: true });
  };
  const { kafka, open, fetches } = fakeKafka(
    { leader: 1, answer: moved },
    { leader: -1, answer: () => ({}) },
    { leader: 2, answer: () => response(9n, 12n) },
  );
  expect(await nextOf(kafka)).toMatchObject({ nextOffset: 10n, stableEnd: 12n });
  expect(fetches).toEqual(["1: 7", "2: 7"]);
  expect(open.size).toBe(0);
});

test("a throttled response, which has no partition, says nothing about the end", async () => {
  const answer = vi.fn<Answer>().mockReturnValueOnce({ responses: [] }).mockReturnValueOnce(response(null, 7n));
  const { kafka, open } = fakeKafka({ leader: 1, answer });
  expect(await nextOf(kafka)).toMatchObject({ nextOffset: 7n, stableEnd: 7n });
  expect(answer).toHaveBeenCalledTimes(2);
  expect(open.size).toBe(0);
});

test("an error that is not retryable ends it at once", async () => {
  const refused = () => {
    throw Object.assign(new KafkaJSProtocolError("no"), { type: "TOPIC_AUTHORIZATION_FAILED", retriable: false });
  };
  const { kafka, open, fetches } = fakeKafka({ leader: 1, answer: refused });
  await expect(nextOf(kafka)).rejects.toMatchObject({
    code: "KAFKA_FORBIDDEN",
    message: expect.stringContaining("testing"),
  });
  expect(fetches).toHaveLength(1);
  expect(open.size).toBe(0);
});
