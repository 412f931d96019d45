import { kafkajsModule } from "./kafkajs-internals.ts";

/** What we use of kafkajs's `RequestQueue` (its `src/network/requestQueue/index.js`): one of each connection. */
interface RequestQueue {
  /** Requests that wait, for others on their way or because the broker throttles. */
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

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
}
