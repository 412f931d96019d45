import type { Logger } from "../runtime/logger.ts";
import { logRetries, retry } from "../runtime/retry.ts";
import type { Version } from "../schemas/change-event.ts";
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
  const { openSession, source, observer, logger } = loop;
  const runSession = async (succeeded: () => void): Promise<void> => {
    const session = await openSession({ signal });
    let start: Version | undefined;
    try {
      for await (const batch of source.read(session.position, { signal })) {
        await session.publish(batch);
        observer.published?.(batch);
        const { clusterTime } = batch.position;
        start ??= clusterTime;
        if (batch.events.length > 0 || clusterTime > start) succeeded();
      }
    } finally {
      await session.close();
    }
  };
  await retry((_attempt, succeeded) => runSession(succeeded), { signal, onRetry: logRetries(logger, "producing") });
}
