import { z } from "zod";
import { HeadraceError } from "../errors/error.ts";
import type { Position } from "./change-event.ts";

/** Increase it when an old reader would misread the new form. */
const FORMAT = 1;

/** A bigint. */
const version = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);

const snapshotState = z.discriminatedUnion("state", [
  z.object({ state: z.literal("running"), after: z.string().nullable(), sweepBelow: version.nullable() }),
  z.object({ state: z.literal("done"), at: version }),
]);

/** Not z.record: it drops `__proto__`, which is a possible name of a collection. */
const byName = z
  .custom<object>((value) => typeof value === "object" && value !== null)
  .transform((value) => new Map(Object.entries<unknown>({ ...value })));

const storedPosition = z.object({
  format: z.literal(FORMAT),
  resumeToken: z.string().nullable(),
  clusterTime: version,
  isWhole: z.boolean().optional(),
  lastEvent: version.optional(),
  cluster: z.string(),
  database: z.string().optional(),
  horizon: version,
  // Version 0.1.0 wrote `{}` for the state of a collection called `__proto__` that had had no snapshot.
  snapshots: byName
    .transform((states) => new Map([...states].filter(([name, state]) => name !== "__proto__" || !isEmpty(state))))
    .pipe(z.map(z.string(), snapshotState)),
  signals: z.object({ offset: version, after: z.string().nullable() }),
  signalsTopicId: z.string().nullable().optional(),
  leftOut: byName.pipe(z.map(z.string(), z.string())).optional(),
  // Version 0.1.0 ignores these, `database`, `lastEvent` and `signalsTopicId`, and writes positions without them.
  identities: byName
    .pipe(z.map(z.string(), z.object({ topicId: z.string().nullable(), mapping: z.string() })))
    .optional(),
});

/** A position as JSON, as it is stored in Kafka, with versions as decimal strings and maps as objects. */
export function encodePosition(position: Position): string {
  return JSON.stringify({ format: FORMAT, ...position }, (_key, value: unknown) => {
    if (value instanceof Map) return Object.fromEntries(value);
    return typeof value === "bigint" ? value.toString() : value;
  });
}

/** @throws HeadraceError POSITION_INVALID if `encodePosition` did not write the text */
export function decodePosition(text: string): Position {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw unreadable("it is not valid JSON", error);
  }
  const parsed = storedPosition.safeParse(stored);
  if (!parsed.success) {
    throw unreadable(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
  }
  const { format: _format, ...position } = parsed.data;
  return position;
}

function isEmpty(state: unknown): boolean {
  return typeof state === "object" && state !== null && Object.keys(state).length === 0;
}

function unreadable(reason: string, cause?: unknown): HeadraceError {
  return new HeadraceError("POSITION_INVALID", { message: `The stored position cannot be read: ${reason}.` }, cause);
}

/** A producer process. It writes this into the positions topic when it opens a session (the marker). */
const instance = z.object({
  id: z.string(),
  /** ms since 1970. */
  startedAtMs: z.number(),
});

export type Instance = Readonly<z.infer<typeof instance>>;

/** The instance of a marker; none for a record that another program has written. */
export function decodeMarker(text: string): readonly Instance[] {
  try {
    const { success, data } = instance.safeParse(JSON.parse(text));
    return success ? [data] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** The keys of the records in the positions topic. Compaction keeps the last record of each. */
export const POSITION_KEY = "position";
export const MARKER_KEY = "marker";
