import { signalIdOfDeadLetter } from "../../consumers/dead-letters/key.ts";
import { showDeadLetter } from "../../consumers/dead-letters/queries.ts";
import type { DeadLetterDetails } from "../../consumers/dead-letters/queries.ts";
import type { LogRecord } from "../../consumers/ports.ts";
import { isPoison } from "../../errors/error.ts";
import { decodeRecord } from "../../schemas/decoding/record-decoder.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import type { Change } from "../../schemas/row-schema.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";
import { unknownDeadLetter } from "./require-open.ts";

/** A dead letter with the content of its record. */
export interface DecodedDeadLetter {
  readonly details: DeadLetterDetails;
  /** As the `_id` column has it; null if it cannot be read. */
  readonly key: string | null;
  /** Null if the record cannot be decoded, or has only a key. */
  readonly change: Change | null;
  readonly replay: ReplayProspect;
}

/**
 * What a replay does with an open dead letter: it applies the record; lets the document be read again; cannot, because no
 * signal can name its `_id` (unaskable), because the record cannot be decoded, or because the config has no such collection.
 */
export type ReplayProspect = "apply" | "reread" | "unaskable" | "undecodable" | "unknownTopic";

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
  if (details === null) throw unknownDeadLetter(id);
  const { letter, record } = details;
  const change = letter.needsSnapshot ? null : await decodable(access.registry, record);
  return { details, change, key: await access.keyOf(record), replay: await prospectOf(access, details, change) };
}

async function prospectOf(
  { registry, tableOf }: DeadLetterAccess,
  { letter, record }: DeadLetterDetails,
  change: Change | null,
): Promise<ReplayProspect> {
  if (letter.topic === null || tableOf(letter.topic) === undefined) return "unknownTopic";
  if (!letter.needsSnapshot) return change === null ? "undecodable" : "apply";
  return (await signalIdOfDeadLetter(registry, record)) === null ? "unaskable" : "reread";
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
