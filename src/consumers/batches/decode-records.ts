import type { ErrorCode } from "../../errors/codes.ts";
import { isPoison } from "../../errors/error.ts";
import type { HeadraceError } from "../../errors/error.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { DecodedRecord, LogRecord, RecordFailure, UndecodableRecord } from "../ports.ts";

/**
 * Decodes a record; null for a Kafka tombstone. Throws poison where the record cannot be decoded. Returns a promise
 * only where it has to ask the registry, which can fail with a retryable error.
 */
export type DecodeRecord = (record: LogRecord) => Change | null | Promise<Change | null>;

/** Errors of the key, not of the value. */
const KEY_CODES: readonly ErrorCode[] = ["KEY_UNDECODABLE", "KEY_INVALID", "ID_TYPE_MISMATCH"];

/**
 * Decodes records in order. Leaves Kafka tombstones out: they only tell compaction about a delete.
 * @param retrying repeats a step while it fails with a retryable error
 */
export async function decodeRecords(
  records: readonly LogRecord[],
  decode: DecodeRecord,
  retrying: <T>(step: () => Promise<T>) => Promise<T>,
): Promise<(DecodedRecord | UndecodableRecord)[]> {
  const decoded: (DecodedRecord | UndecodableRecord)[] = [];
  for (const record of records) {
    try {
      const read = decode(record);
      // Almost never a promise: a promise for each record would cost as much as decoding it.
      const change = read instanceof Promise ? await retrying(beginningWith(read, () => decode(record))) : read;
      if (change !== null) decoded.push({ record, change });
    } catch (error) {
      if (!isPoison(error)) throw error;
      decoded.push({ record, change: null, failure: { error, stage: stageOf(error) } });
    }
  }
  return decoded;
}

/** A step whose first try is already running. */
function beginningWith<T>(begun: Promise<T>, again: () => T | Promise<T>): () => Promise<T> {
  // Nobody may wait for it any more when the consumer stops.
  begun.catch(() => {});
  let next: Promise<T> | undefined = begun;
  return async () => {
    const current = next ?? again();
    next = undefined;
    return await current;
  };
}

/** Kafka Connect's name for the step that failed. */
function stageOf({ code }: HeadraceError): RecordFailure["stage"] {
  return KEY_CODES.includes(code) ? "KEY_CONVERTER" : "VALUE_CONVERTER";
}
