import { errorKind } from "../errors/error.ts";
import type { Logger } from "../runtime/logger.ts";
import { logRetries, retry } from "../runtime/retry.ts";
import type { ChangeSource, OpenSession, ProducerObserver } from "./ports.ts";

export interface ProducerLoop {
  readonly openSession: OpenSession;
  readonly source: ChangeSource;
  readonly observer: ProducerObserver;
  readonly logger: Logger;
}

/**
 * MongoDB → Kafka. Each session finds the last committed position, reads the source from there and publishes each batch
 * with the position after it. Any error ends the session, because only a new session finds out what Kafka has committed.
 * Resolves when the source ends, or when `signal` aborts and the current batch is published.
 * @throws the first error that is not retryable, or the signal's reason if it was waiting for a retry
 */
export async function produce(loop: ProducerLoop, { signal }: { signal: AbortSignal }): Promise<void> {
  const { openSession, source, observer } = loop;
  await inSeries(loop, signal, async () => {
    const session = await openSession({ signal });
    try {
      for await (const batch of source.read(session.position, { signal })) {
        await session.publish(batch.events, batch.position);
        observer.published?.(batch);
      }
    } finally {
      await session.close();
    }
  });
}

/** After a session that lasted longer than this, the delays between retries start short again. */
const LASTING_MS = 60_000;

/** Repeats `runSession` until it ends without an error. The delays grow with each failure. */
async function inSeries({ logger }: ProducerLoop, signal: AbortSignal, runSession: () => Promise<void>): Promise<void> {
  const onRetry = logRetries(logger, "producing");
  let hasEnded = false;
  // A failure after a long session begins a new series of retries, with short delays.
  const oneSeries = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      await runSession();
      hasEnded = true;
    } catch (error) {
      if (errorKind(error) !== "retryable" || performance.now() - startedAt < LASTING_MS) throw error;
      onRetry(error, 1, 0);
    }
  };
  while (!hasEnded) await retry(oneSeries, { signal, onRetry });
}
