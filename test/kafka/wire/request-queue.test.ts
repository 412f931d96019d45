import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newKafka } from "../../../src/kafka/client.ts";

interface Queue {
  inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest: () => void }>;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
}

const require = createRequire(import.meta.url);
const RequestQueue = require("kafkajs/src/network/requestQueue/index.js") as new (options: object) => Queue;

beforeEach(() => {
  newKafka({ brokers: ["localhost:1"] });
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test("a connection at rest wakes the process up once a second, until it is closed", () => {
  let looks = 0;
  let isOpen = true;
  const isConnected = () => (looks++, isOpen);
  new RequestQueue({ enforceRequestTimeout: true, requestTimeout: 30_000, isConnected }).scheduleRequestTimeoutCheck();
  vi.advanceTimersByTime(10_000);
  expect(looks).toBe(10);
  isOpen = false;
  vi.advanceTimersByTime(10_000);
  expect(looks).toBe(11);
});

test("a request without an answer times out", () => {
  const queue = new RequestQueue({ enforceRequestTimeout: true, requestTimeout: 30_000 });
  const timeoutRequest = vi.fn<() => void>();
  queue.inflight.set(1, { sentAt: Date.now(), requestTimeout: 2_500, timeoutRequest });
  queue.scheduleRequestTimeoutCheck();
  vi.advanceTimersByTime(2_000);
  expect(timeoutRequest).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  expect(timeoutRequest).toHaveBeenCalledOnce();
  queue.destroy();
});
