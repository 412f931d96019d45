/** The middle of the values, or of the two in the middle the mean. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error("there is no median of nothing");
  return (low + high) / 2;
}

/** The value that a share of the values is at or below (nearest rank). */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error("there is no percentile of nothing");
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
