import { showDeadLetter } from "../../consumers/dead-letters/queries.ts";
import type { DeadLetterDetails } from "../../consumers/dead-letters/queries.ts";
import type { LogRecord } from "../../consumers/ports.ts";
import { HeadraceError, isPoison } from "../../errors/error.ts";
import { decodeRecord } from "../../schemas/decoding/record-decoder.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";

/** A dead letter with the content of its record. */
export interface DecodedDeadLetter {
  readonly details: DeadLetterDetails;
  /** As the `_id` column has it; null if it cannot be read. */
  readonly key: string | null;
  /** Null if the record cannot be decoded, or has only a key. */
  readonly change: Change | null;
}

/**
 * Reads one dead letter, open or closed, and decodes its record.
 * @param id `topic/partition/offset`, as `DeadLetter.id`
 * @throws HeadraceError UNKNOWN_DEAD_LETTER if the DLQ does not have it, or no longer
 */
export async function decodeDeadLetter(
  access: DeadLetterAccess,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<DecodedDeadLetter> {
  const details = await showDeadLetter(access, id, options);
  if (details === null) {
    throw new HeadraceError("UNKNOWN_DEAD_LETTER", { message: `There is no dead letter ${JSON.stringify(id)}.` });
  }
  const { letter, record } = details;
  const change = letter.needsSnapshot ? null : await decodable(access.registry, record);
  return { details, change, key: await access.keyOf(record) };
}

/** Null if the record cannot be decoded. */
async function decodable(registry: SchemaRegistry, { key, value }: LogRecord): Promise<Change | null> {
  try {
    return await decodeRecord(registry, key, value);
  } catch (error) {
    if (!isPoison(error)) throw error;
    return null;
  }
}
