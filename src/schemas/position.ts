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

const storedPosition = z.object({
  format: z.literal(FORMAT),
  resumeToken: z.string().nullable(),
  clusterTime: version,
  isWhole: z.boolean().optional(),
  cluster: z.string(),
  horizon: version,
  // Not z.record: it drops `__proto__`, which is a possible name of a collection.
  snapshots: z
    .custom<object>((snapshots) => typeof snapshots === "object" && snapshots !== null)
    .transform((snapshots) => Object.entries<unknown>({ ...snapshots }))
    .pipe(z.array(z.tuple([z.string(), snapshotState])))
    .transform((entries) => Object.fromEntries(entries)),
  signals: z.object({ offset: version, after: z.string().nullable() }),
});

/** A position as JSON, as it is stored in Kafka, with versions as decimal strings. */
export function encodePosition(position: Position): string {
  return JSON.stringify({ format: FORMAT, ...position }, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
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

function unreadable(reason: string, cause?: unknown): HeadraceError {
  return new HeadraceError("POSITION_INVALID", { message: `The stored position cannot be read: ${reason}.` }, cause);
}

/** The keys of the records in the positions topic. Compaction keeps the last record of each. */
export const POSITION_KEY = "position";
export const MARKER_KEY = "marker";
