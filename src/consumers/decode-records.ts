import { errorKind } from "../runtime/errors.ts";
import type { Change } from "../schemas/row-schema.ts";
import type { DecodedRecord, LogRecord, RecordFailure, UndecodableRecord } from "./ports.ts";

/** What a record says; null for a Kafka tombstone. Throws poison where that cannot be read. */
export type DecodeRecord = (record: LogRecord) => Change | null | Promise<Change | null>;

/** What is wrong with the key alone; the codes are those of ContractError. */
const KEY_CODES: readonly unknown[] = ["KEY_UNDECODABLE", "KEY_INVALID", "ID_TYPE_MISMATCH"];

/** Reads records in order. Kafka tombstones, which only tell compaction of a delete, are left out. */
export async function decodeRecords(
  records: readonly LogRecord[],
  decode: (record: LogRecord) => Promise<Change | null>,
): Promise<(DecodedRecord | UndecodableRecord)[]> {
  const decoded: (DecodedRecord | UndecodableRecord)[] = [];
  for (const record of records) {
    try {
      const change = await decode(record);
      if (change !== null) decoded.push({ record, change });
    } catch (error) {
      if (errorKind(error) !== "poison") throw error;
      decoded.push({ record, failure: { error, stage: stageOf(error) } });
    }
  }
  return decoded;
}

/** Connect's name for the step at which a record could not be read. */
function stageOf(error: unknown): RecordFailure["stage"] {
  return KEY_CODES.includes((error as { code?: unknown } | null)?.code) ? "KEY_CONVERTER" : "VALUE_CONVERTER";
}
