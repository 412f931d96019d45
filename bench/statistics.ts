/** The middle value, or the mean of the two middle values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error("no values to take a median of");
  return (low + high) / 2;
}

/** The median of each figure of several runs. */
export function mediansOf<Figures extends Readonly<Record<keyof Figures, number>>>(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {}) as (keyof Figures)[];
  const medians = names.map((name) => [name, median(runs.map((run) => run[name]))] as const);
  return Object.fromEntries(medians) as unknown as Figures;
}

/** The smallest value that at least `share` of the values do not exceed (nearest rank). */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error("no values to take a percentile of");
  return value;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
}

export function latencyOf(valuesMs: readonly number[]): Latency {
  return {
    p50Ms: rounded(percentile(valuesMs, 0.5)),
    p95Ms: rounded(percentile(valuesMs, 0.95)),
    p99Ms: rounded(percentile(valuesMs, 0.99)),
    samples: valuesMs.length,
  };
}

export function rounded(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
