import { errorKind } from "../../errors/error.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { ApplyOutcome, DecodedRecord, LogRecord, RecordFailure, UndecodableRecord } from "../ports.ts";

export interface BisectSteps {
  /**
   * Applies changes and moves the progress to `nextOffset`, in one transaction. Poison where one of them is bad.
   * @param buried what was in the place of the changes, and is in the DLQ
   */
  readonly apply: (changes: readonly Change[], nextOffset: bigint, buried?: Change) => Promise<ApplyOutcome>;
  /** Writes a record to the DLQ; resolves when that is acknowledged. */
  readonly bury: (record: LogRecord, failure: RecordFailure) => Promise<void>;
}

/**
 * Applies the records in order. Where some are bad they are halved until each of those stands alone; it goes to the
 * DLQ, and then the progress moves past it.
 * @returns fenced as soon as one step is: what follows belongs to somebody else
 */
export async function bisect(
  records: readonly (DecodedRecord | UndecodableRecord)[],
  nextOffset: bigint,
  steps: BisectSteps,
): Promise<ApplyOutcome> {
  const result = await applyAll(records, nextOffset, steps);
  if (typeof result === "string") return result;
  const [first] = records;
  const middle = records.length >> 1;
  const second = records.slice(middle);
  const [secondFirst] = second;
  if (first === undefined || secondFirst === undefined) throw result.error;
  if (middle === 0) {
    await steps.bury(first.record, result);
    return "change" in first ? steps.apply([], nextOffset, first.change) : steps.apply([], nextOffset);
  }
  const outcome = await bisect(records.slice(0, middle), secondFirst.record.offset, steps);
  return outcome === "applied" ? bisect(second, nextOffset, steps) : outcome;
}

async function applyAll(
  records: readonly (DecodedRecord | UndecodableRecord)[],
  nextOffset: bigint,
  { apply }: BisectSteps,
): Promise<ApplyOutcome | RecordFailure> {
  const changes: Change[] = [];
  for (const record of records) {
    if ("failure" in record) return record.failure;
    changes.push(record.change);
  }
  try {
    return await apply(changes, nextOffset);
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    return { error, stage: "TASK_PUT" };
  }
}
