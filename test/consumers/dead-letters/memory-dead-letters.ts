import { headersOfDeadLetter } from "../../../src/consumers/dead-letters/headers.ts";
import type { DeadLetterSource } from "../../../src/consumers/dead-letters/headers.ts";
import { originKey } from "../../../src/consumers/ports.ts";
import type {
  DeadLetterOrigin,
  DeadLetterOutcome,
  DeadLetterOutcomes,
  DeadLetterReader,
  DeadLetterWriter,
  Failure,
  LogRecord,
  DeadLetterRange,
  TableName,
} from "../../../src/consumers/ports.ts";

/** Dead letters in memory. */
export class MemoryDeadLetters implements DeadLetterReader, DeadLetterWriter {
  readonly records: LogRecord[] = [];
  readonly #source: DeadLetterSource;

  constructor(source: DeadLetterSource = { pipeline: "shop", taskId: "test" }) {
    this.#source = source;
  }

  write(record: LogRecord, failure: Failure): Promise<void> {
    this.append({ ...record, headers: headersOfDeadLetter(record, failure, this.#source, new Date()) });
    return Promise.resolve();
  }

  /** As another program's, or the producer's. */
  append(record: Pick<LogRecord, "key" | "value" | "headers">): void {
    const { key, value, headers } = record;
    const place = { topic: "shop.dlq", partition: 0, offset: BigInt(this.records.length) };
    this.records.push({ ...place, key, value, headers, timestampMs: Date.now() });
  }

  end(): Promise<bigint> {
    return Promise.resolve(BigInt(this.records.length));
  }

  async scan(
    visit: (record: LogRecord) => Promise<void> | void,
    { signal, from = 0n, to = BigInt(this.records.length) }: DeadLetterRange,
  ): Promise<void> {
    for (const record of this.records.slice(Number(from), Number(to))) {
      signal.throwIfAborted();
      await visit(record);
    }
    signal.throwIfAborted();
  }
}

export class MemoryOutcomes implements DeadLetterOutcomes {
  readonly discards: { offset: bigint; attempts: number; table: TableName | null }[] = [];
  readonly closed = new Map<string, DeadLetterOutcome>();

  outcomesOf(origins: readonly DeadLetterOrigin[]): Promise<ReadonlyMap<string, DeadLetterOutcome>> {
    const known = origins.map(originKey).flatMap((id) => {
      const outcome = this.closed.get(id);
      return outcome === undefined ? [] : [[id, outcome] as const];
    });
    return Promise.resolve(new Map(known));
  }

  close(
    origin: DeadLetterOrigin,
    attempts: number,
    outcome: DeadLetterOutcome,
    table: TableName | null,
  ): Promise<void> {
    this.discards.push({ offset: origin.offset, attempts, table });
    this.closed.set(originKey(origin), outcome);
    return Promise.resolve();
  }
}
