import { HeadraceError } from "../errors/error.ts";
import type { IdType } from "../schemas/mapping/mapping.ts";
import { signalIdOfKey } from "../schemas/signal.ts";
import type { Signal } from "../schemas/signal.ts";
import type { Finding } from "./compare-rows.ts";

/** If more keys of one collection differ, the whole collection is copied again. */
const MOST_KEYS = 100_000;
/** Keeps a signal a small record. */
const IDS_PER_SIGNAL = 1_000;

/**
 * Turns what `verify` found into signals that make the producer read it again. Only the pipeline writes rows, and it
 * compares versions, so a repair cannot overwrite newer data.
 */
export class Repairs {
  readonly #collections = new Map<string, Set<string>>();
  /** Collections to copy again as a whole. */
  readonly #whole = new Set<string>();

  add(collection: string, idType: IdType, findings: ReadonlyMap<string, Finding>): void {
    const ids = this.#collections.get(collection) ?? new Set();
    this.#collections.set(collection, ids);
    for (const [key, finding] of findings) {
      // It can have no row.
      if (finding.kind === "missing" && finding.isKeyless === true) continue;
      const id = signalId(idType, key);
      if (id === null || ids.size >= MOST_KEYS) this.#whole.add(collection);
      else ids.add(id);
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

/** The id for a signal; null if no `_id` finds the key, so that only a copy of the whole collection repairs it. */
function signalId(idType: IdType, key: string): string | null {
  try {
    return signalIdOfKey(idType, key);
  } catch (error) {
    if (error instanceof HeadraceError && (error.code === "KEY_INVALID" || error.code === "SIGNAL_INVALID"))
      return null;
    throw error;
  }
}

function inParts(ids: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(ids.length / IDS_PER_SIGNAL);
  return Array.from({ length: count }, (_, part) => ids.slice(part * IDS_PER_SIGNAL, (part + 1) * IDS_PER_SIGNAL));
}
