import { BSON } from "bson";
import type { Document } from "bson";
import { z } from "zod";
import { HeadraceError } from "../errors/error.ts";
import type { RepeatedDeadLetter } from "./change-event.ts";
import { canonicalKey, keyToId } from "./keys/document-key.ts";
import type { IdType } from "./mapping/mapping.ts";

/** What an operator asks of a running producer, through the signals topic. */
export type Signal = SnapshotSignal | ResyncSignal;

/** Read a collection again: all of it, what a filter finds, or documents by their `_id`. Nothing is deleted but by `ids`. */
export interface SnapshotSignal {
  readonly type: "snapshot";
  readonly collection: string;
  /** A MongoDB query in Extended JSON. */
  readonly filter?: string | undefined;
  /** One that is not there is published as deleted. */
  readonly ids?: readonly SignalId[] | undefined;
}

/** Read a collection again and sweep from its table what is not in MongoDB. */
export interface ResyncSignal {
  readonly type: "resync";
  readonly collection: string;
  /** Empty the table first; otherwise it is swept at the end. */
  readonly empty?: boolean | undefined;
}

export interface SignalId {
  /** The `_id` as canonical text of an `_id` type `mixed`, see `canonicalKey`. */
  readonly id: string;
  /** The dead letter that reading the document again is to mend. */
  readonly deadLetter?: RepeatedDeadLetter | undefined;
}

const collection = z.string().min(1);

const signalId = z.strictObject({
  id: z.string().superRefine(refused(readSignalId)),
  deadLetter: z
    .strictObject({
      offset: z
        .string()
        .regex(/^\d{1,19}$/)
        .transform(BigInt),
      attempts: z.int().min(1),
    })
    .optional(),
});

const storedSignal = z.discriminatedUnion("type", [
  z
    .strictObject({
      type: z.literal("snapshot"),
      collection,
      filter: z.string().superRefine(refused(readFilter)).optional(),
      ids: z.array(signalId).min(1).optional(),
    })
    .refine(({ filter, ids }) => filter === undefined || ids === undefined, "has both a filter and ids"),
  z.strictObject({ type: z.literal("resync"), collection, empty: z.boolean().optional() }),
]);

/** A signal as JSON, as it stands in Kafka. @throws HeadraceError SIGNAL_INVALID */
export function encodeSignal(signal: Signal): string {
  const text = JSON.stringify(signal, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  decodeSignal(text);
  return text;
}

/** @throws HeadraceError SIGNAL_INVALID for what is not a signal that this version knows */
export function decodeSignal(text: string): Signal {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw invalidSignal("is no JSON", error);
  }
  const parsed = storedSignal.safeParse(stored);
  if (parsed.success) return parsed.data;
  throw invalidSignal(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
}

/** The query of a filter. @throws HeadraceError SIGNAL_INVALID */
export function readFilter(text: string): Document {
  const filter = parse(() => BSON.EJSON.parse(text, { relaxed: false }) as unknown);
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) throw invalidSignal("is no query");
  parse(() => BSON.serialize(filter));
  return filter;
}

/**
 * `{_id}` in BSON. Order matters in a sub-document that is an `_id`, so it is not read as an object.
 * @throws HeadraceError SIGNAL_INVALID, KEY_INVALID
 */
export function readSignalId(text: string): Uint8Array {
  const documentKey = parse(() => BSON.serialize({ _id: keyToId("mixed", text) }));
  canonicalKey("mixed", documentKey);
  return documentKey;
}

/**
 * The id of a signal for an `_id` as a user or a dead letter gives it.
 * @param text Extended JSON, canonical or not
 * @throws HeadraceError SIGNAL_INVALID, KEY_INVALID where it cannot be asked for
 */
export function signalIdOf(text: string): string {
  return canonicalKey("mixed", readSignalId(text));
}

/**
 * The same for a key as the `_id` column holds it; null where it cannot be asked for, as JavaScript has no such value.
 * @throws HeadraceError KEY_INVALID where it is no key of this type
 */
export function signalIdOfKey(idType: IdType, key: string): string | null {
  const documentKey = BSON.serialize({ _id: keyToId(idType, key) });
  const isSame = canonicalKey(idType, documentKey) === key;
  const id = canonicalKey("mixed", documentKey);
  return isSame && signalIdOf(id) === id ? id : null;
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalidSignal("is no Extended JSON", error);
  }
}

/** Never quotes the value. */
function refused(read: (text: string) => unknown): (text: string, context: z.RefinementCtx<string>) => void {
  return (text, context) => {
    try {
      read(text);
    } catch (error) {
      if (!(error instanceof HeadraceError)) throw error;
      context.addIssue(error.message);
    }
  };
}

/** @param problem what follows "A signal" */
function invalidSignal(problem: string, cause?: unknown): HeadraceError {
  return new HeadraceError("SIGNAL_INVALID", { message: `What a signal says ${problem}.` }, cause);
}
