import type { Stack } from "../dev/stack/types.ts";

export interface BenchContext {
  readonly stack: Stack;
  /** Number of runs. Each figure is their median. */
  readonly runs: number;
  /** Factor for the numbers of documents. 1 is the whole bench. */
  readonly scale: number;
  readonly report: (line: string) => void;
}

/** Measures one thing. Resolves to its figures. */
export type Scenario = (context: BenchContext) => Promise<object>;
