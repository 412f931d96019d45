import { kafkajsModule } from "./kafkajs-internals.ts";

/** What we use of kafkajs's `RequestQueue` (its `src/network/requestQueue/index.js`): one of each connection. */
interface RequestQueue {
  /** Requests that wait, for others on their way or because the broker throttles. */
  readonly pending: readonly unknown[];
  /** Requests that are sent and not answered. */
  readonly inflight: ReadonlyMap<number, SentRequest>;
  readonly enforceRequestTimeout: boolean;
  /** ms */
  readonly requestTimeout: number;
  requestTimeoutIntervalId: NodeJS.Timeout | null;
  readonly isConnected: () => boolean;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  /** Ends the check for timeouts. */
  destroy(): void;
}

interface SentRequest {
  /** ms since 1970 */
  readonly sentAt: number;
  /** ms */
  readonly requestTimeout: number;
  timeoutRequest(): void;
}

/** How often each connection looks for requests that have no answer in time, ms. kafkajs does ten times a second. */
const TIMEOUT_CHECK_MS = 1_000;

/**
 * Lets the queues of kafkajs 2.2.4 rest, for all clients of the process. After the first answer, each would set a timer
 * with a negative delay again and again, which Node makes 1 ms, also when no request waits: a tenth of the CPU of a
 * pipeline with 200 changes a second. A request that comes to wait sets the timer by itself.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function restRequestQueues(): void {
  const queue = kafkajsModule("src/network/requestQueue/index.js") as { readonly prototype: RequestQueue };
  const { prototype } = queue;
  // eslint-disable-next-line typescript/unbound-method
  const { scheduleCheckPendingRequests } = prototype;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
  };
  prototype.scheduleRequestTimeoutCheck = function (this: RequestQueue): void {
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    const intervalMs = Math.min(this.requestTimeout, TIMEOUT_CHECK_MS);
    this.requestTimeoutIntervalId = setInterval(() => checkTimeouts(this), intervalMs);
  };
}

function checkTimeouts(queue: RequestQueue): void {
  for (const request of queue.inflight.values()) {
    if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest();
  }
  if (!queue.isConnected()) queue.destroy();
}
