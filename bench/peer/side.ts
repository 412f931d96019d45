import type { MongoClient } from "mongodb";
import type { Pool } from "pg";
import type { Stack } from "../../dev/stack/types.ts";
import type { ConnectPrograms } from "./downloads.ts";

/** What both sides are measured on. */
export interface PeerBench {
  readonly stack: Stack;
  readonly mongodb: MongoClient;
  readonly pool: Pool;
  readonly programs: ConnectPrograms;
  /** For the files and logs of the workers. */
  readonly work: string;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A way from one MongoDB collection to one table: Headrace or the peer. */
export interface Side extends AsyncDisposable {
  /** The target, quoted. */
  readonly table: string;
  /** Starts to copy and to follow; after `stop`, goes on. Resolves at once. */
  start(): Promise<void>;
  /** Ends following. Its position is kept. */
  stop(): Promise<void>;
  /** Its processes that run now. The servers are none of them. */
  pids(): readonly number[];
  /** @throws Error if it no longer works */
  check(): Promise<void>;
}

export const SIDES = ["peer", "headrace"] as const;
export type SideName = (typeof SIDES)[number];

export const COLLECTION = "products";
/** Partitions of the topic, of either side. */
export const PARTITIONS = 4;
