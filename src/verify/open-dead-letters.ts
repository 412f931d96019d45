import { listDeadLetters } from "../consumers/dead-letters/queries.ts";
import type { DeadLetterSources } from "../consumers/dead-letters/queries.ts";
import { originKey } from "../consumers/ports.ts";
import type { DeadLetterReader, LogRecord } from "../consumers/ports.ts";
import { parseDeadLetter } from "../schemas/dead-letter.ts";
import type { Finding } from "./compare-rows.ts";

export interface OpenDeadLetterOptions extends DeadLetterSources {
  /** The collection's topic. */
  readonly topic: string;
  readonly signal: AbortSignal;
}

/**
 * Those of the keys that have an open dead letter. A dead letter without a readable key counts for every `_id` that
 * cannot be a key, because it may belong to any of them.
 * @throws HeadraceError
 */
export async function openDeadLetters(
  findings: ReadonlyMap<string, Finding>,
  { reader, outcomes, keyOf, topic, signal }: OpenDeadLetterOptions,
): Promise<ReadonlySet<string>> {
  /** The keys of this topic's dead letters by their place in the DLQ; null for an unreadable key. */
  const keys = new Map<string, string | null>();
  const noteKey = async (record: LogRecord): Promise<void> => {
    if (parseDeadLetter(record.headers).topic !== topic) return;
    const key = await keyOf(record);
    if (key === null || findings.has(key)) keys.set(originKey(record), key);
  };
  const noting: Pick<DeadLetterReader, "scan"> = {
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
