import type { BenchRecord, Figures } from "./record.ts";

/** A figure of two records. */
export interface ComparedFigure {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** `after / before`. */
  readonly ratio: number;
  readonly verdict: "better" | "worse" | "same" | "yardstick";
}

export interface Comparison {
  readonly figures: readonly ComparedFigure[];
  /** Why the two cannot be compared, or only in part; one sentence each. */
  readonly warnings: readonly string[];
}

/** Differences below this share are noise. */
const NOISE = 0.05;
/** Inputs of a scenario. They have to be the same in both records. */
const SIZES = /(?:^|\.)(?:documents|changes|updates|collections)$/;
/** How often something was measured: nobody aims at a number. */
const SAMPLES = /(?:^|\.)samples$/;
/** What the servers do without Headrace: shows how much the machine itself has changed. */
const YARDSTICK = /(?:^|\.)limit/i;
const MORE_IS_BETTER = /PerSecond$|^liveInSnapshot\.speedRatio$|(?:^|\.)ratio$/;

/** Compares the figures that both records have. */
export function compareRecords(before: BenchRecord, after: BenchRecord): Comparison {
  const names = Object.keys(before.figures).filter((name) => name in after.figures);
  const figures = names.flatMap((name): ComparedFigure[] => {
    if (SIZES.test(name) || SAMPLES.test(name)) return [];
    const [from, to] = [before.figures[name] ?? NaN, after.figures[name] ?? NaN];
    const ratio = to / from;
    return [{ name, before: from, after: to, ratio, verdict: verdictOf(name, ratio) }];
  });
  return { figures, warnings: warningsOf(before, after) };
}

function verdictOf(name: string, ratio: number): ComparedFigure["verdict"] {
  if (YARDSTICK.test(name)) return "yardstick";
  if (Math.abs(ratio - 1) < NOISE) return "same";
  return ratio > 1 === MORE_IS_BETTER.test(name) ? "better" : "worse";
}

function warningsOf(before: BenchRecord, after: BenchRecord): string[] {
  const facts = [...Object.keys(flat(before)), ...Object.keys(flat(after))];
  const different = [...new Set(facts)].flatMap((fact) => {
    const [from, to] = [flat(before)[fact] ?? "unknown", flat(after)[fact] ?? "unknown"];
    return from === to ? [] : [`Different ${fact}: ${from} and ${to}.`];
  });
  const sizes = differentSizes(before.figures, after.figures);
  const modified = [before, after].filter(({ isModified }) => isModified).map(({ commit }) => commit.slice(0, 7));
  return [
    ...different,
    ...sizes,
    ...[...new Set(modified)].map((commit) => `${commit} was measured with changes that are not in the commit.`),
  ];
}

function differentSizes(before: Figures, after: Figures): string[] {
  return Object.entries(before).flatMap(([name, size]) => {
    const other = after[name];
    return !SIZES.test(name) || other === undefined || other === size
      ? []
      : [`Different ${name}: ${size} and ${other}.`];
  });
}

/** What has to be the same for two runs to be comparable. */
function flat({ machine, options }: BenchRecord): Readonly<Record<string, string>> {
  const { servers, ...rest } = machine;
  const facts = { ...rest, ...servers, ...options };
  return Object.fromEntries(Object.entries(facts).map(([fact, value]) => [fact, String(value)]));
}
