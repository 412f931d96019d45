import type { MongoClient } from "mongodb";
import type { Pool } from "pg";
import type { HeadraceProcess } from "../headrace-process.ts";
import type { Stack } from "../stack/types.ts";

/** What the demo's steps share. */
export interface Demo {
  /** Name of the pipeline, the source's database and the target's schema. */
  readonly name: string;
  readonly stack: Stack;
  readonly source: MongoClient;
  readonly target: Pool;
  /** The config file. */
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  readonly processes: readonly [produce: HeadraceProcess, consume: HeadraceProcess];
}
