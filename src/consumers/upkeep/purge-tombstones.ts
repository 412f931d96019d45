import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../runtime/logger.ts";
import type { PostgresSink } from "../postgres/sink.ts";

const INTERVAL_MS = 60 * 60 * 1000;

export interface PurgeOptions {
  /** How long deletes are remembered; -1: for ever. */
  readonly retentionMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Forgets old deletes, now and every hour, until `signal` aborts. A failure only leaves them for the next time. */
export async function purgeTombstones(
  sink: Pick<PostgresSink, "purgeTombstones">,
  { retentionMs, logger, signal }: PurgeOptions,
): Promise<void> {
  if (retentionMs < 0) return;
  while (!signal.aborted) {
    try {
      const tombstones = await sink.purgeTombstones(retentionMs);
      if (tombstones > 0) logger.info({ tombstones }, "old tombstones deleted");
    } catch (err) {
      logger.warn({ err }, "old tombstones could not be deleted; trying again in an hour");
    }
    await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}
