/** A document of the model; `_id` apart. */
export type Fields = Record<string, unknown>;

interface State {
  /** Cluster time of the write, as a version. */
  readonly version: bigint;
  /** The document from then on; null: there is none. */
  readonly fields: Fields | null;
}

/** Everything that collections have ever held: what to compare with. */
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

  /** The collection was dropped, renamed away or replaced by another: it has these documents, by key, and no others. */
  replace(collection: string, version: bigint, documents: ReadonlyMap<string, Fields>): void {
    for (const key of this.documentsIn(collection).keys()) {
      if (!documents.has(key)) this.record(collection, key, { version, fields: null });
    }
    for (const [key, fields] of documents) this.record(collection, key, { version, fields });
    this.#replacements.set(collection, [...this.replacementsOf(collection), version]);
  }

  /** The versions at which a collection was dropped, renamed away or replaced. */
  replacementsOf(collection: string): readonly bigint[] {
    return this.#replacements.get(collection) ?? [];
  }

  /** What the key's document was at the version; null where it did not exist. */
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

  /** What the key's document is now. */
  fieldsOf(collection: string, key: string): Fields | null {
    return this.#states.get(`${collection}/${key}`)?.at(-1)?.fields ?? null;
  }

  /** The documents that a collection holds now, by key. */
  documentsIn(collection: string): Map<string, Fields> {
    const documents = new Map<string, Fields>();
    for (const [id, states] of this.#states) {
      const fields = states.at(-1)?.fields ?? null;
      if (fields !== null && id.startsWith(`${collection}/`)) documents.set(id.slice(collection.length + 1), fields);
    }
    return documents;
  }

  /** Whether there is a reason for the row of a key's state to vanish: a delete, or a replacement of the collection. */
  vanishesAfter(collection: string, key: string, version: bigint): boolean {
    const states = this.#states.get(`${collection}/${key}`) ?? [];
    return (
      states.some((state) => state.fields === null && state.version > version) ||
      this.replacementsOf(collection).some((replacement) => replacement > version)
    );
  }
}
