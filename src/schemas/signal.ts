import { BSON } from "bson";
import type { Document } from "bson";
import { z } from "zod";
import { HeadraceError } from "../errors/error.ts";
import type { RepeatedDeadLetter } from "./change-event.ts";
import { canonicalKey, keyToId } from "./keys/document-key.ts";
import type { IdType } from "./mapping/mapping.ts";

/** A request of an operator to the producer, sent through the signals topic. */
export type Signal = SnapshotSignal | ResyncSignal;

/**
 * Read a collection again: the whole collection, the documents that match a filter, or documents by `_id`. Only `ids`
 * can delete rows.
 */
export interface SnapshotSignal {
  readonly type: "snapshot";
  readonly collection: string;
  /** A MongoDB query in Extended JSON. */
  readonly filter?: string | undefined;
  /** A document that does not exist is published as deleted. */
  readonly ids?: readonly SignalId[] | undefined;
}

/** Read a collection again, and delete the rows whose documents do not exist in MongoDB. */
export interface ResyncSignal {
  readonly type: "resync";
  readonly collection: string;
  /** Empty the table first. Otherwise the rows are deleted at the end. */
  readonly empty?: boolean | undefined;
}

export interface SignalId {
  /** The `_id` as a canonical key of type `mixed` (see `canonicalKey`). */
  readonly id: string;
  /** The dead letter that is closed when the document has been read again. */
  readonly deadLetter?: RepeatedDeadLetter | undefined;
}

const collection = z.string().min(1);

const signalId = z.strictObject({
  id: z.string().superRefine(accepted(readSignalId)),
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
      filter: z.string().superRefine(accepted(readFilter)).optional(),
      ids: z.array(signalId).min(1).optional(),
    })
    .refine(({ filter, ids }) => filter === undefined || ids === undefined, "it has both a filter and ids"),
  z.strictObject({ type: z.literal("resync"), collection, empty: z.boolean().optional() }),
]);

/** A signal as JSON, as it is stored in Kafka. @throws HeadraceError SIGNAL_INVALID */
export function encodeSignal(signal: Signal): string {
  const text = JSON.stringify(signal, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  decodeSignal(text);
  return text;
}

/** @throws HeadraceError SIGNAL_INVALID if this version does not know such a signal */
export function decodeSignal(text: string): Signal {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw invalidSignal("The signal is not valid JSON", error);
  }
  const parsed = storedSignal.safeParse(stored);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => (path.length > 0 ? `${path.join(".")}: ` : "") + message,
  );
  throw invalidSignal(`The signal is not valid: ${problems.join("; ")}`);
}

/** Parses a filter. @throws HeadraceError SIGNAL_INVALID */
export function readFilter(text: string): Document {
  const filter = parse("filter", () => BSON.EJSON.parse(text, { relaxed: false }) as unknown);
  if (typeof filter !== "object" || filter === null || Array.isArray(filter))
    throw invalidSignal("The filter is not a JSON object");
  parse("filter", () => BSON.serialize(filter));
  return filter;
}

/**
 * Returns `{_id}` in BSON. Does not go through JavaScript objects, which could change the order of fields in an `_id`.
 * @throws HeadraceError SIGNAL_INVALID, KEY_INVALID
 */
export function readSignalId(text: string): Uint8Array {
  const documentKey = parse("id", () => BSON.serialize({ _id: keyToId("mixed", text) }));
  canonicalKey("mixed", documentKey);
  return documentKey;
}

/**
 * The text of a `SignalId` for an `_id` from a user or a dead letter.
 * @param text Extended JSON, canonical or not
 * @throws HeadraceError SIGNAL_INVALID, KEY_INVALID if the `_id` cannot be sent in a signal
 */
export function signalIdOf(text: string): string {
  return canonicalKey("mixed", readSignalId(text));
}

/**
 * The same for the key in an `_id` column. Null if it cannot be sent in a signal because JavaScript has no such value.
 * @throws HeadraceError KEY_INVALID if it is not a key of this type
 */
export function signalIdOfKey(idType: IdType, key: string): string | null {
  const documentKey = BSON.serialize({ _id: keyToId(idType, key) });
  const isSame = canonicalKey(idType, documentKey) === key;
  const id = canonicalKey("mixed", documentKey);
  return isSame && signalIdOf(id) === id ? id : null;
}

function parse<T>(what: "filter" | "id", read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalidSignal(`The ${what} is not valid Extended JSON${placeOf(error)}`, error);
  }
}

/** Where the parser stopped, without the text around it, which could hold a value. */
function placeOf(error: unknown): string {
  const message = error instanceof SyntaxError ? error.message : "";
  if (message.startsWith("Unexpected end")) return ": it ends too early";
  const [place] = /\bat position \d+/.exec(message) ?? [];
  return place === undefined ? "" : `: the mistake is ${place}`;
}

/** A zod check. Its message never contains the value. */
function accepted(read: (text: string) => unknown): (text: string, context: z.RefinementCtx<string>) => void {
  return (text, context) => {
    try {
      read(text);
    } catch (error) {
      if (!(error instanceof HeadraceError)) throw error;
      context.addIssue(error.message.replace(/\.$/, ""));
    }
  };
}

function invalidSignal(problem: string, cause?: unknown): HeadraceError {
  return new HeadraceError("SIGNAL_INVALID", { message: `${problem}.` }, cause);
}
