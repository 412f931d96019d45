import { setTimeout as sleep } from "node:timers/promises";
import type { Db, Timestamp } from "mongodb";
import type { Logger } from "../../runtime/logger.ts";
import { versionToMs } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";
import type { ProducerObserver, SourceBatch } from "../ports.ts";
import { clusterTimes } from "./client.ts";
import { timestampVersion } from "./cluster-time.ts";
import { mongoError } from "./errors.ts";

/** Share of the oplog's size from which it counts as full. MongoDB removes up to a tenth of it at a time. */
const FULL = 0.85;

/** The time range of the oplog. */
export interface OplogWindow {
  /** The time of its first entry. */
  readonly start: Version;
  /** The time of the newest write. */
  readonly end: Version;
  /** Whether new entries push out the first ones. */
  readonly isFull: boolean;
}

/**
 * Reads the time range of the oplog. Null if the user may not read it: that takes the role `read` on `local`.
 * @throws HeadraceError
 */
export async function readOplogWindow(db: Db): Promise<OplogWindow | null> {
  const oplog = db.client.db("local").collection<{ ts: Timestamp }>("oplog.rs", { readPreference: "primary" });
  try {
    const [first] = await oplog.find({}, { sort: { $natural: 1 }, limit: 1, projection: { ts: 1 } }).toArray();
    const [stats] = await oplog
      .aggregate<{ storageStats: { size: number; maxSize: number } }>([{ $collStats: { storageStats: {} } }])
      .toArray();
    if (first === undefined || stats === undefined) return null;
    const { size, maxSize } = stats.storageStats;
    const { latest: end } = await clusterTimes(db);
    return { start: timestampVersion(first.ts), end, isFull: size >= maxSize * FULL };
  } catch (error) {
    const classified = mongoError(error, "reading the oplog");
    if (classified.code === "MONGODB_FORBIDDEN") return null;
    throw classified;
  }
}

/** The time between the oplog's first and last entry, ms. */
export function windowMs({ start, end }: OplogWindow): number {
  return versionToMs(end) - versionToMs(start);
}

/** The share (0 to 1) of the window between its start and a position. Negative: entries after the position are lost. */
export function shareLeft({ start, end }: OplogWindow, position: Version): number {
  return end > start ? Number(position - start) / Number(end - start) : 1;
}

export interface OplogWatchOptions {
  /** The time of the producer's last committed position; null before the first. */
  readonly position: () => Version | null;
  /** A warning is logged when less than this share of the window is left. */
  readonly reserve: number;
  readonly observer: Pick<ProducerObserver, "oplog">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Default 30,000. */
  readonly intervalMs?: number;
}

/** Checks the oplog at each interval until `signal` aborts. After a failure it waits for the next interval. */
export async function watchOplog(db: Db, options: OplogWatchOptions): Promise<void> {
  const { position, logger, signal, intervalMs = 30_000 } = options;
  const watch = new OplogWatch(options);
  while (!signal.aborted) {
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
    const at = position();
    if (signal.aborted || at === null) continue;
    try {
      await watch.look(db, at);
    } catch (err) {
      logger.debug({ err }, "could not read the oplog's window");
    }
  }
}

/** Watches the oplog while `work` runs. `work` must report what it publishes to the observer that it gets. */
export async function whileWatchingOplog(
  db: Db,
  options: Omit<OplogWatchOptions, "position" | "observer"> & { readonly observer: ProducerObserver },
  work: (observer: ProducerObserver) => Promise<void>,
): Promise<void> {
  const { observer } = options;
  let committed: Version | null = null;
  const published = (batch: SourceBatch): void => {
    committed = batch.position.clusterTime;
    observer.published?.(batch);
  };
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const watching = watchOplog(db, { ...options, position: () => committed, signal });
  try {
    await work({ ...observer, published });
  } finally {
    ended.abort();
    await watching;
  }
}

class OplogWatch {
  readonly #options: OplogWatchOptions;
  #mayRead = true;
  #isShort = false;

  constructor(options: OplogWatchOptions) {
    this.#options = options;
  }

  /** Logs once that the oplog cannot be read, and each time that its window begins to run short. */
  async look(db: Db, position: Version): Promise<void> {
    const { observer, logger } = this.#options;
    const window = this.#mayRead ? await readOplogWindow(db) : null;
    const end = window?.end ?? (await clusterTimes(db)).latest;
    const positionAgeMs = Math.max(0, versionToMs(end) - versionToMs(position));
    observer.oplog?.({ windowMs: window && windowMs(window), positionAgeMs });
    if (window !== null) return this.#judge(window, position, positionAgeMs);
    if (this.#mayRead) {
      this.#mayRead = false;
      logger.info({}, "the oplog's window is not watched: the user needs the role `read` on the database `local`");
    }
  }

  #judge(window: OplogWindow, position: Version, positionAgeMs: number): void {
    const { reserve, logger } = this.#options;
    const isShort = window.isFull && shareLeft(window, position) < reserve;
    const fields = { windowSeconds: windowMs(window) / 1_000, positionAgeSeconds: positionAgeMs / 1_000 };
    if (isShort && !this.#isShort) {
      logger.warn(
        fields,
        "the oplog will soon lose changes that the producer has not read: find out what slows the producer down, or make the oplog larger",
      );
    }
    if (!isShort && this.#isShort) logger.info(fields, "the producer's position is safely within the oplog again");
    this.#isShort = isShort;
  }
}
