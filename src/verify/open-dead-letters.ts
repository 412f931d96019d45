import { listKeyedDeadLetters } from "../consumers/dead-letters/queries.ts";
import type { DeadLetterSources } from "../consumers/dead-letters/queries.ts";
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
  { topic, signal, ...sources }: OpenDeadLetterOptions,
): Promise<ReadonlySet<string>> {
  const letters = await listKeyedDeadLetters(sources, { topic }, { signal });
  const open = new Set(letters.map(({ key }) => key));
  const isOpen = ([key, finding]: [string, Finding]): boolean =>
    open.has(key) || (open.has(null) && finding.kind === "missing" && finding.isKeyless === true);
  return new Set([...findings].filter(isOpen).map(([key]) => key));
}
