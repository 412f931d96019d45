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
 * MongoDB → Kafka: in one session after the other, reads the source from the position that the session found and
 * publishes each batch with the position after it. Whatever fails ends the session: what Kafka really holds is known
 * only to the next one. Resolves when the source ends, or when `signal` aborts and the batch in work is done.
 * @throws the first error that trying again does not mend, or the reason of `signal` where it was waiting
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

/** A session that lasted longer than this was a good one: the waits after it begin short again. */
const LASTING_MS = 60_000;

/** Repeats `runSession` until it ends by itself, with waits that grow from failure to failure. */
async function inSeries({ logger }: ProducerLoop, signal: AbortSignal, runSession: () => Promise<void>): Promise<void> {
  const onRetry = logRetries(logger, "producing");
  let hasEnded = false;
  const seriesEndsWithLasting = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      await runSession();
      hasEnded = true;
    } catch (error) {
      if (errorKind(error) !== "retryable" || performance.now() - startedAt < LASTING_MS) throw error;
      onRetry(error, 1, 0);
    }
  };
  while (!hasEnded) await retry(seriesEndsWithLasting, { signal, onRetry });
}
