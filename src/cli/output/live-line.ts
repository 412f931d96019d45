import { counted } from "../../runtime/counted.ts";
import type { Activity } from "./activity.ts";

/** One line at the bottom of a terminal that is rewritten in place, with the log above it. */
export interface LiveLine {
  show(text: string): void;
  /** Writes a log line above it. */
  print(line: string): void;
  /** Removes the line. */
  end(): void;
}

/** Null if the stream is not a terminal: then there is only the log. */
export async function openLiveLine(stream: NodeJS.WriteStream): Promise<LiveLine | null> {
  if (!stream.isTTY) return null;
  // Loaded only here: it takes a tenth of a service's loading time, and most services have no terminal.
  const { createLogUpdate } = await import("log-update");
  const update = createLogUpdate(stream);
  return {
    show: (text) => update(text),
    print: (line) => {
      update.clear();
      // Not with `persist`: it would break a JSON line at the terminal's width.
      stream.write(line);
    },
    end: () => {
      update.clear();
      // Shows the cursor again.
      update.done();
    },
  };
}

const REFRESH_MS = 250;
/** A rate is the mean over this many refreshes. */
const RATE_SAMPLES = 12;

/** Shows a process's activity until the returned function is called. */
export function showActivity(line: LiveLine, activity: Activity): () => void {
  const published = new Rate();
  const applied = new Rate();
  const timer = setInterval(() => {
    const now = performance.now();
    published.sample(activity.published, now);
    applied.sample(activity.applied, now);
    line.show(
      activityText(activity, { published: published.perSecond, applied: applied.perSecond, nowMs: Date.now() }),
    );
  }, REFRESH_MS);
  return () => {
    clearInterval(timer);
    line.end();
  };
}

export interface Rates {
  readonly published: number;
  readonly applied: number;
  /** ms since 1970. */
  readonly nowMs: number;
}

/** `published 12,000 (800/s), position 2 s old · applied 11,000 (700/s), lag 1,000 · 1 dead letter` */
export function activityText(
  activity: Pick<Activity, "published" | "applied" | "deadLetters" | "position" | "lag">,
  { published, applied, nowMs }: Rates,
): string {
  const parts: string[] = [];
  if (activity.position !== null) parts.push(producerText(activity.published, published, activity.position, nowMs));
  if (activity.applied > 0 || activity.position === null) {
    parts.push(`applied ${grouped(activity.applied)} (${grouped(applied)}/s), lag ${grouped(activity.lag)}`);
  }
  if (activity.deadLetters > 0) parts.push(counted(activity.deadLetters, "dead letter"));
  return parts.join(" · ");
}

function producerText(count: number, rate: number, position: NonNullable<Activity["position"]>, nowMs: number): string {
  const running = [...position.snapshots].filter(([, { state }]) => state === "running");
  const snapshot = running.length === 0 ? "" : `, snapshot of ${running.map(([name]) => name).join(", ")}`;
  const age = Math.max(0, Math.round((nowMs - Number(position.clusterTime >> 32n) * 1000) / 1000));
  return `published ${grouped(count)} (${grouped(rate)}/s), position ${grouped(age)} s old${snapshot}`;
}

function grouped(value: number | bigint): string {
  return (typeof value === "number" ? Math.round(value) : value).toLocaleString("en");
}

/** Measures how fast a count grows. */
class Rate {
  readonly #samples: { readonly count: number; readonly atMs: number }[] = [];

  sample(count: number, atMs: number): void {
    this.#samples.push({ count, atMs });
    if (this.#samples.length > RATE_SAMPLES) this.#samples.shift();
  }

  get perSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return ((last.count - first.count) / (last.atMs - first.atMs)) * 1000;
  }
}
