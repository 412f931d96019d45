import { median, rounded } from "../statistics.ts";
import { SIDES } from "./side.ts";
import type { SideName } from "./side.ts";

/** A figure of several runs. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** A figure of both sides. */
export interface ComparedSides {
  /** As `latency.p50Ms`. */
  readonly name: string;
  readonly peer: Summary;
  readonly headrace: Summary;
  /** Headrace's median by the peer's. */
  readonly ratio: number;
}

/** The runs of a scenario: by side, the figures of each run. */
export type Runs = Readonly<Record<SideName, readonly Readonly<Record<string, number>>[]>>;

function summaryOf(values: readonly number[]): Summary {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** The figures that both sides have. */
export function compareSides(scenario: string, runs: Runs): readonly ComparedSides[] {
  const names = Object.keys(runs.headrace[0] ?? {}).filter((name) => name in (runs.peer[0] ?? {}));
  return names.map((name) => {
    const [peer, headrace] = SIDES.map((side) => summaryOf(runs[side].map((run) => run[name] ?? NaN))) as [
      Summary,
      Summary,
    ];
    return { name: `${scenario}.${name}`, peer, headrace, ratio: headrace.median / peer.median };
  });
}

export const TABLE_HEAD = ["figure", "peer", "range", "Headrace", "range", "Headrace / peer"] as const;

/** A row of the table, below `TABLE_HEAD`. */
export function rowOf({ name, peer, headrace, ratio }: ComparedSides): (string | number)[] {
  const cells = [peer, headrace].flatMap((each) => [shown(each.median), `${shown(each.low)}–${shown(each.high)}`]);
  return [name, ...cells, ratio.toFixed(2)];
}

/** For a record: `peer.<scenario>.{limit,headrace,ratio}.<figure>`. The peer's own figures are a limit of the bench. */
export function recordedFigures(compared: readonly ComparedSides[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    compared.flatMap(({ name, peer, headrace, ratio }) => {
      const [scenario, figure] = name.split(".");
      const path = (what: string): string => `peer.${scenario}.${what}.${figure}`;
      return [
        [path("limit"), precise(peer.median)],
        [path("headrace"), precise(headrace.median)],
        [path("ratio"), rounded(ratio, 3)],
      ] as const;
    }),
  );
}

/** One digit after the point, none from 1,000 on. */
function shown(value: number): string {
  return precise(value).toLocaleString("en");
}

function precise(value: number): number {
  return rounded(value, value < 1_000 ? 1 : 0);
}
