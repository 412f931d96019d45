import { BSON } from "bson";
import { ContractError } from "../schemas/contract-error.ts";
import type { IdType } from "../schemas/collection-schema.ts";
import { canonicalKey, keyToId } from "../schemas/document-key.ts";
import type { Signal } from "../schemas/signal.ts";
import type { Finding } from "./verify-rows.ts";

/** Of one collection; where more is wrong, all of it is copied again. */
const MOST_KEYS = 100_000;
/** So that a signal is a small record. */
const IDS_PER_SIGNAL = 1_000;

/**
 * What `verify` found wrong, as signals that have it read again. The rows are written by the pipeline alone, under its
 * guard: a repair can overwrite nothing that is newer.
 */
export class Repairs {
  readonly #collections = new Map<string, Set<string>>();
  /** Those that are copied again as a whole. */
  readonly #whole = new Set<string>();

  add(collection: string, idType: IdType, findings: ReadonlyMap<string, Finding>): void {
    const ids = this.#collections.get(collection) ?? new Set();
    this.#collections.set(collection, ids);
    for (const [key, { kind }] of findings) {
      const id = signalIdOfKey(idType, key);
      if (id !== undefined) ids.add(id);
      // No document can have such a key: only a sweep takes the row. A document that has no key can't be repaired.
      else if (kind === "extra") this.#whole.add(collection);
      if (ids.size > MOST_KEYS) this.#whole.add(collection);
      if (this.#whole.has(collection)) ids.clear();
    }
  }

  signals(): readonly Signal[] {
    return [...this.#collections].flatMap(([collection, ids]): readonly Signal[] => {
      if (this.#whole.has(collection)) return [{ type: "resync", collection }];
      return inParts([...ids]).map((part) => ({ type: "snapshot", collection, ids: part.map((id) => ({ id })) }));
    });
  }
}

/** Undefined where no document can be asked for by such a key. */
function signalIdOfKey(idType: IdType, key: string): string | undefined {
  try {
    return canonicalKey("mixed", BSON.serialize({ _id: keyToId(idType, key) }));
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    return undefined;
  }
}

function inParts(ids: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(ids.length / IDS_PER_SIGNAL);
  return Array.from({ length: count }, (_, part) => ids.slice(part * IDS_PER_SIGNAL, (part + 1) * IDS_PER_SIGNAL));
}
