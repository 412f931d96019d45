import type { Stack } from "../dev/stack/types.ts";

export interface BenchContext {
  readonly stack: Stack;
  /** Each figure is the median of so many. */
  readonly runs: number;
  /** 1: all of it; less for a quick look. */
  readonly scale: number;
  readonly report: (line: string) => void;
}

/** Measures one thing; its figures go into the result under its name. */
export type Scenario = (context: BenchContext) => Promise<object>;
