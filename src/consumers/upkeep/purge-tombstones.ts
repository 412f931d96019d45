import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../runtime/logger.ts";
import type { PostgresSink } from "../postgres/sink.ts";

const INTERVAL_MS = 60 * 60 * 1000;

export interface PurgeOptions {
  /** How long tombstones are kept; -1: for ever. */
  readonly retentionMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Deletes old tombstones, now and every hour, until `signal` aborts. After a failure it tries again an hour later. */
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
      logger.warn({ err }, "cannot delete old tombstones; trying again in an hour");
    }
    await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}
