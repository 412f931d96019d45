import { setTimeout as sleep } from "node:timers/promises";
import type { Db, Timestamp } from "mongodb";
import type { Logger } from "../../runtime/logger.ts";
import { versionOf, versionToMs } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";
import type { ProducerObserver, SourceBatch } from "../ports.ts";
import { clusterTimes } from "./client.ts";
import { mongoError } from "./errors.ts";

/** Of its size: MongoDB cuts off up to a tenth at a time. */
const FULL = 0.85;

/** How far the oplog reaches back. */
export interface OplogWindow {
  /** The time of its first entry. */
  readonly start: Version;
  /** The time of the newest write. */
  readonly end: Version;
  /** Whether it has reached its size, so that what comes pushes the first entries out. */
  readonly isFull: boolean;
}

/**
 * Null where the user may not read the oplog, for which the role `read` on another database than `local` is not enough.
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
    return { start: versionOf(first.ts.t, first.ts.i), end, isFull: size >= maxSize * FULL };
  } catch (error) {
    const classified = mongoError(error, "reading the oplog's first entry");
    if (classified.code === "MONGODB_FORBIDDEN") return null;
    throw classified;
  }
}

/** How long what the oplog holds lasts. */
export function windowMs({ start, end }: OplogWindow): number {
  return versionToMs(end) - versionToMs(start);
}

/** The share of the window that is left before it loses what follows a position; negative where it has. */
export function shareLeft({ start, end }: OplogWindow, position: Version): number {
  return end > start ? Number(position - start) / Number(end - start) : 1;
}

export interface OplogWatchOptions {
  /** The time of the producer's last committed position; null before the first. */
  readonly position: () => Version | null;
  /** It warns when less than this share of the window is left. */
  readonly reserve: number;
  readonly observer: Pick<ProducerObserver, "oplog">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Default 30,000. */
  readonly intervalMs?: number;
}

/** Looks at the oplog from time to time, until `signal` aborts. A failure leaves it for the next time. */
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
      logger.debug({ err }, "the oplog's window could not be read");
    }
  }
}

/** @param work tells the observer that it is given what it has published */
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

  /** Says once that the oplog may not be read, and each time that little begins to be left of it. */
  async look(db: Db, position: Version): Promise<void> {
    const { observer, logger } = this.#options;
    const window = this.#mayRead ? await readOplogWindow(db) : null;
    const end = window?.end ?? (await clusterTimes(db)).latest;
    const positionAgeMs = Math.max(0, versionToMs(end) - versionToMs(position));
    observer.oplog?.({ windowMs: window && windowMs(window), positionAgeMs });
    if (window !== null) return this.#judge(window, position, positionAgeMs);
    if (this.#mayRead) {
      this.#mayRead = false;
      logger.info({}, "how far the oplog reaches back is not watched: that takes the role `read` on `local`");
    }
  }

  #judge(window: OplogWindow, position: Version, positionAgeMs: number): void {
    const { reserve, logger } = this.#options;
    const isShort = window.isFull && shareLeft(window, position) < reserve;
    const fields = { windowSeconds: windowMs(window) / 1_000, positionAgeSeconds: positionAgeMs / 1_000 };
    if (isShort && !this.#isShort) {
      logger.warn(
        fields,
        "the oplog will soon lose what the producer has not read: find out what holds it up, or make the oplog larger",
      );
    }
    if (!isShort && this.#isShort) logger.info(fields, "the producer's position is well within the oplog again");
    this.#isShort = isShort;
  }
}
