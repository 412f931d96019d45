/** What one run of the bench measured, where and when: a file of `bench/history`. */
export interface BenchRecord {
  /** Full hash. */
  readonly commit: string;
  /** First line of the commit's message. */
  readonly subject: string;
  /** Whether files differed from the commit. */
  readonly isModified: boolean;
  /** Default: `npm run bench`. `peer`: `npm run bench:peer`. */
  readonly kind?: "peer";
  /** ISO 8601, start of the run. */
  readonly measuredAt: string;
  readonly machine: Machine;
  readonly options: BenchOptions;
  /** By path, e.g. `snapshot.rowsPerSecond`. */
  readonly figures: Figures;
}

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryMb: number;
  readonly os: string;
  readonly node: string;
  /** How the servers were started, as `HEADRACE_STACK` names it. */
  readonly stack: string;
  /** Versions, as far as they are known. */
  readonly servers: Readonly<Record<string, string>>;
}

export interface BenchOptions {
  readonly runs: number;
  readonly scale: number;
  readonly isWarm: boolean;
}

export type Figures = Readonly<Record<string, number>>;

/**
 * All numbers of a result by their paths: `{ latency: { 200: { p50Ms: 7 } } }` gives `latency.200.p50Ms`. Leaves out
 * arrays, which hold single runs; the figures are their medians.
 */
export function figuresOf(result: object): Figures {
  return Object.fromEntries(entriesOf(result, []));
}

function entriesOf(value: object, path: readonly string[]): (readonly [string, number])[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const name = [...path, key];
    if (typeof inner === "number") return [[name.join("."), inner] as const];
    const isNested = typeof inner === "object" && inner !== null && !Array.isArray(inner);
    return isNested ? entriesOf(inner, name) : [];
  });
}

/** `2026-11-28T1403-6942df7.json`: sorted by time, found by commit. */
export function fileNameOf({ measuredAt, commit, isModified, kind }: BenchRecord): string {
  const minute = measuredAt.slice(0, 16).replace(":", "");
  return `${minute}-${commit.slice(0, 7)}${isModified ? "-modified" : ""}${kind === undefined ? "" : `-${kind}`}.json`;
}

const PEER_ENDING = "-peer.json";

/** The newest file of `npm run bench` of a commit, by any prefix of at least four digits of its hash. */
export function newestOf(fileNames: readonly string[], commit: string): string | undefined {
  if (!/^[0-9a-f]{4,40}$/.test(commit)) return undefined;
  const prefix = `-${commit.slice(0, 7)}`;
  return fileNames
    .filter((name) => name.slice("2026-11-28T1403".length).startsWith(prefix) && !name.endsWith(PEER_ENDING))
    .toSorted()
    .at(-1);
}
