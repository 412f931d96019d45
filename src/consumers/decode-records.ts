import { errorKind } from "../runtime/errors.ts";
import type { Change } from "../schemas/row-schema.ts";
import type { DecodedRecord, LogRecord, RecordFailure, UndecodableRecord } from "./ports.ts";

/** What is wrong with the key alone; the codes are those of ContractError. */
const KEY_CODES: readonly unknown[] = ["KEY_INVALID", "ID_TYPE_MISMATCH"];

/** Reads records in order. Kafka tombstones, which only tell compaction of a delete, are left out. */
export async function decodeRecords(
  records: readonly LogRecord[],
  decode: (record: LogRecord) => Promise<Change>,
): Promise<(DecodedRecord | UndecodableRecord)[]> {
  const decoded: (DecodedRecord | UndecodableRecord)[] = [];
  for (const record of records) {
    if (record.value === null) continue;
    try {
      decoded.push({ record, change: await decode(record) });
    } catch (error) {
      if (errorKind(error) !== "poison") throw error;
      decoded.push({ record, failure: { error, stage: stageOf(error) } });
    }
  }
  return decoded;
}

/** Connect's name for the step at which a record could not be read. */
export function stageOf(error: unknown): RecordFailure["stage"] {
  return KEY_CODES.includes((error as { code?: unknown } | null)?.code) ? "KEY_CONVERTER" : "VALUE_CONVERTER";
}
