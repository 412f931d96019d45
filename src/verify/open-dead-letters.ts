import { listDeadLetters } from "../consumers/dead-letters/queries.ts";
import type { DeadLetterSources } from "../consumers/dead-letters/queries.ts";
import { originKey } from "../consumers/ports.ts";
import type { DeadLetterReader, LogRecord } from "../consumers/ports.ts";
import { parseDeadLetter } from "../schemas/dead-letter.ts";
import type { Finding } from "./compare-rows.ts";

export interface OpenDeadLetterOptions extends DeadLetterSources {
  /** Of the collection. */
  readonly topic: string;
  readonly signal: AbortSignal;
}

/**
 * Which of the keys have an open dead letter. An `_id` that no key can be made of may have one that does not say whose
 * it is: such a dead letter stands for all of them.
 */
export async function openDeadLetters(
  findings: ReadonlyMap<string, Finding>,
  { reader, outcomes, keyOf, topic, signal }: OpenDeadLetterOptions,
): Promise<ReadonlySet<string>> {
  /** Of the dead letters that count, by their places; null where they do not say. */
  const keys = new Map<string, string | null>();
  const noteKey = async (record: LogRecord): Promise<void> => {
    if (parseDeadLetter(record.headers).topic !== topic) return;
    const key = await keyOf(record);
    if (key === null || findings.has(key)) keys.set(originKey(record), key);
  };
  const noting: DeadLetterReader = {
    scan: (visit, options) =>
      reader.scan(async (record) => {
        await noteKey(record);
        await visit(record);
      }, options),
  };
  const letters = await listDeadLetters({ reader: noting, outcomes, keyOf }, {}, { signal });
  const open = new Set(letters.map(({ place }) => keys.get(originKey(place))));
  const isOpen = ([key, finding]: [string, Finding]): boolean =>
    open.has(key) || (open.has(null) && finding.kind === "missing" && finding.isKeyless === true);
  return new Set([...findings].filter(isOpen).map(([key]) => key));
}
