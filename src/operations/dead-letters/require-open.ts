import { listDeadLetters, showDeadLetter } from "../../consumers/dead-letters/queries.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";

/**
 * Checks that all of some dead letters are open, before anything is done with one of them.
 * @param ids as `DeadLetter.id`
 * @throws HeadraceError UNKNOWN_DEAD_LETTER, DEAD_LETTER_CLOSED
 */
export async function requireOpen(
  access: DeadLetterAccess,
  ids: readonly string[],
  options: { readonly signal: AbortSignal },
): Promise<void> {
  if (ids.length === 0) return;
  const { signal } = options;
  const open = new Set((await listDeadLetters(access, { ids }, { signal })).map(({ id }) => id));
  for (const id of ids) {
    if (open.has(id)) continue;
    const details = await showDeadLetter(access, id, { signal });
    if (details === null) throw unknownDeadLetter(id);
    // Null: a consumer has written it just now.
    if (details.outcome !== null) throw closed(id, details.outcome);
  }
}

/** The error for an id that the topic does not have. */
export function unknownDeadLetter(id: string): HeadraceError {
  return new HeadraceError("UNKNOWN_DEAD_LETTER", { message: `There is no dead letter ${JSON.stringify(id)}.` });
}

function closed(id: string, outcome: string): HeadraceError {
  return new HeadraceError("DEAD_LETTER_CLOSED", {
    message: `The dead letter ${JSON.stringify(id)} is closed already: ${outcome}. Nothing was done.`,
  });
}
