import { isPoison } from "../../errors/error.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { ApplyOutcome, DecodedRecord, FailedRecord, RecordFailure, UndecodableRecord } from "../ports.ts";

export interface BisectSteps {
  /**
   * Applies changes and moves the progress to `nextOffset`, in one transaction.
   * @throws HeadraceError of kind poison where one of the changes cannot be applied
   */
  readonly apply: (changes: readonly Change[], nextOffset: bigint) => Promise<ApplyOutcome>;
  /** Writes the record to the dead letters. When Kafka has acknowledged it, moves the progress to `nextOffset`. */
  readonly deadLetter: (failed: FailedRecord, nextOffset: bigint) => Promise<ApplyOutcome>;
}

/**
 * Applies records in order. Where some cannot be applied, it halves the records until each bad one is alone; that one
 * becomes a dead letter.
 * @returns fenced as soon as one step is fenced: the rest belongs to another member of the group
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
  if (middle === 0) return await steps.deadLetter({ ...first, failure: result }, nextOffset);
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
    if (record.change === null) return record.failure;
    changes.push(record.change);
  }
  try {
    return await apply(changes, nextOffset);
  } catch (error) {
    if (!isPoison(error)) throw error;
    return { error, stage: "TASK_PUT" };
  }
}
