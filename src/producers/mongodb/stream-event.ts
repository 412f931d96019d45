import { BSON } from "mongodb";
import type { StreamEvent } from "../order/plan-images.ts";

const { parseToElements } = BSON.onDemand;

/** The place of a value in the bytes. */
interface Span {
  readonly offset: number;
  readonly length: number;
}

/** The fields of a change stream event that are read. The others are skipped. */
interface Fields {
  operationType?: Span;
  clusterTime?: Span;
  ns?: Span;
  to?: Span;
  documentKey?: Span;
  fullDocument?: Span;
  txnNumber?: Span;
}

const FIELDS: ReadonlySet<string> = new Set<keyof Fields>([
  "operationType",
  "clusterTime",
  "ns",
  "to",
  "documentKey",
  "fullDocument",
  "txnNumber",
]);

/**
 * Reads an event without decoding its documents: they stay raw BSON, as views on the same bytes.
 * https://www.mongodb.com/docs/manual/reference/change-events/
 */
export function readStreamEvent(raw: Uint8Array): StreamEvent {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const fields: Fields = {};
  for (const [, nameOffset, nameLength, offset, length] of parseToElements(bytes)) {
    const name = bytes.toString("latin1", nameOffset, nameOffset + nameLength);
    if (FIELDS.has(name)) fields[name as keyof Fields] = { offset, length };
  }
  const view = (span: Span | undefined) =>
    span === undefined ? null : bytes.subarray(span.offset, span.offset + span.length);
  return {
    operationType: fields.operationType === undefined ? "" : readString(bytes, fields.operationType),
    collection: readCollection(bytes, fields.ns),
    renamedTo: fields.to === undefined ? null : readCollection(bytes, fields.to),
    // A BSON timestamp has the same 64 bits as a version: seconds << 32 | increment.
    version: fields.clusterTime === undefined ? 0n : bytes.readBigUInt64LE(fields.clusterTime.offset),
    documentKey: view(fields.documentKey),
    document: view(fields.fullDocument),
    inTransaction: fields.txnNumber !== undefined,
  };
}

/** When MongoDB wrote the event's change, by its own clock, ms since 1970; null before MongoDB 6.0. */
export function readWallTimeMs(raw: Uint8Array): number | null {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  for (const [, nameOffset, nameLength, offset] of parseToElements(bytes)) {
    if (bytes.toString("latin1", nameOffset, nameOffset + nameLength) === "wallTime")
      return Number(bytes.readBigInt64LE(offset));
  }
  return null;
}

/** `coll` of `{db, coll}`. Empty if the event is about a whole database. */
function readCollection(bytes: Buffer, namespace: Span | undefined): string {
  if (namespace === undefined) return "";
  for (const [, nameOffset, nameLength, offset, length] of parseToElements(bytes, namespace.offset)) {
    if (bytes.toString("latin1", nameOffset, nameOffset + nameLength) === "coll")
      return readString(bytes, { offset, length });
  }
  return "";
}

/** A BSON string: four bytes of length before the text, a NUL after it. */
function readString(bytes: Buffer, { offset, length }: Span): string {
  return bytes.toString("utf8", offset + 4, offset + length - 1);
}
