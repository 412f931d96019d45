import { parseDeadLetter } from "../../schemas/dead-letter.ts";
import type { DeadLetterInfo } from "../../schemas/dead-letter.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { identityOf } from "../ports.ts";
import type { DeadLetterOrigin, LogRecord, TableName } from "../ports.ts";

/** One dead letter without its record. A record that fails again becomes a new dead letter of the same origin. */
export interface DeadLetter {
  /** Users name the dead letter by it: see `namesOf`. */
  readonly id: string;
  /** Where the failed record is. A dead letter of the producer has no record: then where the document's first one is. */
  readonly origin: DeadLetterOrigin;
  /** The topic that the record came from or should go to. */
  readonly topic: string | null;
  /** `schema.table` of that topic; null where it is unknown. */
  readonly table: string | null;
  /** Where it is in the dead-letter topic. */
  readonly place: PartitionOffset;
  readonly attempts: number;
  readonly failedAt: Date;
  /** There is only a key, with which to read the document again: the producer could not encode it, or `isGone`. */
  readonly needsSnapshot: boolean;
  /** Kafka no longer has it. */
  readonly isGone: boolean;
  readonly info: DeadLetterInfo;
}

/** One whose id is not known yet: for that, those of other incarnations of its topic must be known. */
export type UnnamedLetter = Omit<DeadLetter, "id">;

export function toDeadLetter(record: LogRecord, tableOf: (topic: string) => TableName | undefined): UnnamedLetter {
  const { topic, partition, offset, value, headers, timestampMs } = record;
  const info = parseDeadLetter(headers);
  const place = { topic, partition, offset };
  const { topicId } = info;
  const origin =
    info.topic === null || info.partition === null || info.offset === null
      ? { topic, partition, offset: info.firstOffset ?? offset, topicId }
      : { topic: info.topic, partition: info.partition, offset: info.offset, topicId };
  // A replay applies it to the table of the present config. Only the consumer writes a table into the headers.
  const table = info.topic === null ? undefined : tableOf(info.topic);
  return {
    origin,
    topic: info.topic,
    table: table === undefined ? info.table : `${table.schema}.${table.table}`,
    place,
    attempts: info.attempts ?? 1,
    failedAt: info.failedAt ?? new Date(timestampMs),
    needsSnapshot: value === null,
    isGone: false,
    info,
  };
}

/** `identityOf` the origin of a dead letter's record. */
export function identityOfRecord(record: LogRecord): string {
  return identityOf(toDeadLetter(record, () => undefined).origin);
}

/** The consumer may write a dead letter again after a crash, behind a later attempt of a replay. */
export function isOlder(letter: UnnamedLetter, known: UnnamedLetter | undefined): boolean {
  return (
    known !== undefined && identityOf(letter.origin) === identityOf(known.origin) && letter.attempts < known.attempts
  );
}
