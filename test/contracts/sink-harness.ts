// What the suites of a Sink share.
import type { DeadLetterOutcomes, Sink, TableName } from "../../src/consumers/ports.ts";
import type { Change, RowSchema } from "../../src/schemas/row-schema.ts";
import { cellsOf } from "../support/cells.ts";

/** What the suite needs of a sink: an empty one per test, and a look at its rows. */
export interface SinkHarness {
  /** Another one of the same storage, like another process's. Takes every topic to have PARTITIONS partitions. */
  open(): Sink & DeadLetterOutcomes;
  readonly table: TableName;
  /** The rows of the table, in the order of their keys. */
  rows(): Promise<readonly SinkRow[]>;
}

interface SinkRow {
  readonly key: string;
  readonly version: bigint | null;
  readonly n: string | null;
}

const rowSchema: RowSchema = { idType: "string", children: [], columns: [{ name: "n", sqlType: "integer" }] };

export function upsert(key: string, version: bigint, n: string | null): Change {
  return { op: "u", key, version, children: [], cells: cellsOf([n]), rowSchema };
}

export function deletion(key: string, version: bigint): Change {
  return { op: "d", key, version, children: [], cells: null, rowSchema };
}

export const home = { topic: "shop.products", partition: 3 };

export function truncate(version: bigint): Change {
  return { op: "t", key: "", version, children: [], cells: null, rowSchema };
}

export const PARTITIONS = 4;
