/** A document of the model, without `_id`. */
export type Fields = Record<string, unknown>;

interface State {
  /** Cluster time of the write, as a version. */
  readonly version: bigint;
  /** The document from then on. Null: it does not exist. */
  readonly fields: Fields | null;
}

/** All states that the documents ever had: the model to compare with. */
export class ModelHistory {
  readonly #states = new Map<string, State[]>();
  readonly #replacements = new Map<string, bigint[]>();

  /** A write to one document. Versions never fall from call to call. */
  record(collection: string, key: string, state: State): void {
    const id = `${collection}/${key}`;
    const states = this.#states.get(id) ?? [];
    states.push(state);
    this.#states.set(id, states);
  }

  /** The collection was dropped, renamed or replaced. Now it has exactly these documents, by key. */
  replace(collection: string, version: bigint, documents: ReadonlyMap<string, Fields>): void {
    for (const key of this.documentsIn(collection).keys()) {
      if (!documents.has(key)) this.record(collection, key, { version, fields: null });
    }
    for (const [key, fields] of documents) this.record(collection, key, { version, fields });
    this.#replacements.set(collection, [...this.replacementsOf(collection), version]);
  }

  /** The versions at which a collection was dropped, renamed or replaced. */
  replacementsOf(collection: string): readonly bigint[] {
    return this.#replacements.get(collection) ?? [];
  }

  /** The key's document at a version. Null if it did not exist. */
  fieldsAt(collection: string, key: string, version: bigint): Fields | null {
    const states = this.#states.get(`${collection}/${key}`) ?? [];
    let [low, high] = [0, states.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((states[middle]?.version ?? 0n) <= version) low = middle + 1;
      else high = middle;
    }
    return states[low - 1]?.fields ?? null;
  }

  /** The key's current document. Null if it does not exist. */
  fieldsOf(collection: string, key: string): Fields | null {
    return this.#states.get(`${collection}/${key}`)?.at(-1)?.fields ?? null;
  }

  /** The current documents of a collection, by key. */
  documentsIn(collection: string): Map<string, Fields> {
    const documents = new Map<string, Fields>();
    for (const [id, states] of this.#states) {
      const fields = states.at(-1)?.fields ?? null;
      if (fields !== null && id.startsWith(`${collection}/`)) documents.set(id.slice(collection.length + 1), fields);
    }
    return documents;
  }

  /** Whether a row of this version may vanish: the key was deleted or the collection replaced later. */
  vanishesAfter(collection: string, key: string, version: bigint): boolean {
    const states = this.#states.get(`${collection}/${key}`) ?? [];
    return (
      states.some((state) => state.fields === null && state.version > version) ||
      this.replacementsOf(collection).some((replacement) => replacement > version)
    );
  }
}
