import { onTestFinished, vi } from "vitest";
import { createKafkaRecordLog } from "../../../src/consumers/kafka/record-log.ts";
import type { KafkaConsumerOptions } from "../../../src/consumers/kafka/record-log.ts";
import type { RecordLogCallbacks } from "../../../src/consumers/ports.ts";
import { uniqueName } from "../../support/servers.ts";
import type { KafkaFixture } from "./fixture.ts";

export const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 60_000, interval: 50 });

/** The broker's least. */
export const sessionTimeoutMs = 6_000;

export interface Reading {
  readonly running: Promise<void>;
  readonly groupId: string;
  /** What was logged. */
  readonly lines: { fields: object; message: string }[];
  readonly stop: () => Promise<void>;
  readonly count: (message: string) => number;
}

/** Members of consumer groups on a test's own topics. */
export function useReader(fixture: KafkaFixture) {
  return {
    /** A member of a group, by default of its own; stopped after the test. */
    startReading: (
      callbacks: RecordLogCallbacks,
      topic: string,
      options: Partial<KafkaConsumerOptions> = {},
    ): Reading => {
      const controller = new AbortController();
      const lines: Reading["lines"] = [];
      const log = (fields: object, message: string) => void lines.push({ fields, message });
      const groupId = options.groupId ?? `${fixture.prefix}.${uniqueName("group")}`;
      const running = createKafkaRecordLog({
        kafka: fixture.kafka,
        groupId,
        topics: { includes: (each) => each === topic, expected: [topic] },
        requireRights: () => Promise.resolve(),
        config: { fingerprint: "", startedAtMs: 0 },
        logger: { debug: log, info: log, warn: log, error: log },
        sessionTimeoutMs,
        maxWaitMs: 100,
        topicPollMs: 200,
        ...options,
      }).run(callbacks, { signal: controller.signal });
      // Looked at by the test; here only kept from being unhandled.
      running.catch(() => undefined);
      onTestFinished(async () => {
        controller.abort();
        await running.catch(() => undefined);
      });
      const stop = async (): Promise<void> => {
        controller.abort();
        await running;
      };
      return { running, groupId, lines, stop, count: (text) => lines.filter(({ message }) => message === text).length };
    },

    freshTopic: async (partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> => {
      const topic = `${fixture.prefix}.shop.${uniqueName("things")}`;
      await fixture.createTopic(topic, partitions, configs);
      return topic;
    },

    /** What the group has committed of partition 0; -1 when nothing. */
    groupOffset: async (groupId: string, topic: string): Promise<bigint> => {
      const [offsets] = await fixture.admin.fetchOffsets({ groupId, topics: [topic] });
      return BigInt(offsets?.partitions.find(({ partition }) => partition === 0)?.offset ?? -1);
    },
  };
}
