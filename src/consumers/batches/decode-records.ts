import type { ErrorCode } from "../../errors/codes.ts";
import { errorCode, errorKind } from "../../errors/error.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { DecodedRecord, LogRecord, RecordFailure, UndecodableRecord } from "../ports.ts";

/**
 * What a record says; null for a Kafka tombstone. Throws poison where that cannot be read. Asynchronous only where it
 * has to ask the registry, which may fail with what passes.
 */
export type DecodeRecord = (record: LogRecord) => Change | null | Promise<Change | null>;

/** What is wrong with the key alone. */
const KEY_CODES: readonly (ErrorCode | undefined)[] = ["KEY_UNDECODABLE", "KEY_INVALID", "ID_TYPE_MISMATCH"];

/**
 * Reads records in order. Kafka tombstones, which only tell compaction of a delete, are left out.
 * @param retrying repeats what fails with what passes
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
      // Almost never a promise: one for each record would cost as much as to read it.
      const change = read instanceof Promise ? await retrying(beginningWith(read, () => decode(record))) : read;
      if (change !== null) decoded.push({ record, change });
    } catch (error) {
      if (errorKind(error) !== "poison") throw error;
      decoded.push({ record, failure: { error, stage: stageOf(error) } });
    }
  }
  return decoded;
}

/** A step whose first try has begun. */
function beginningWith<T>(begun: Promise<T>, again: () => T | Promise<T>): () => Promise<T> {
  // Who is stopped meanwhile does not ask for it any more.
  begun.catch(() => {});
  let next: Promise<T> | undefined = begun;
  return async () => {
    const current = next ?? again();
    next = undefined;
    return await current;
  };
}

/** Connect's name for the step at which a record could not be read. */
function stageOf(error: unknown): RecordFailure["stage"] {
  return KEY_CODES.includes(errorCode(error)) ? "KEY_CONVERTER" : "VALUE_CONVERTER";
}
