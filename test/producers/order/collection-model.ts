// A model of two collections in MongoDB: every state of every key, and the events of the change stream.
import type { StreamEvent } from "../../../src/producers/order/plan-images.ts";
import type { Version } from "../../../src/schemas/change-event.ts";

export interface Write {
  readonly collection: string;
  readonly key: string;
  readonly kind: "put" | "update" | "delete";
}

interface State {
  readonly version: Version;
  readonly document: Buffer | null;
}

/** The model's filter: whether the number of a document is even, or odd. */
export type Parity = "even" | "odd";

export class CollectionModel {
  /** In the stream's order. */
  readonly events: StreamEvent[] = [];
  /** The time of the last commit. */
  now: Version = 1n;
  readonly #states = new Map<string, State[]>();
  #count = 0;

  /** Several writes make a transaction. */
  commit(writes: readonly Write[]): void {
    this.now++;
    for (const write of writes) this.#write(write, writes.length > 1);
  }

  /** Does what $out does: replaces the collection by another one, whose documents have no events. */
  replace(collection: string, writes: readonly Write[]): void {
    this.now++;
    for (const [id, states] of this.#states) {
      if (id.startsWith(`${collection}/`)) states.push({ version: this.now, document: null });
    }
    for (const { key } of writes) this.#push({ collection, key }, this.#document(key));
    this.#event("drop", { collection, key: "" }, null, false);
  }

  documentAt(collection: string, key: string, version: Version): Buffer | null {
    return this.#states.get(`${collection}/${key}`)?.findLast((state) => state.version <= version)?.document ?? null;
  }

  /** The same, as far as it matches the filter; null: there is none. */
  matchAt(collection: string, key: string, version: Version, filter: Parity | null): Buffer | null {
    const document = this.documentAt(collection, key, version);
    if (document === null || filter === null) return document;
    return (Number(document.toString().slice(1)) % 2 === 0) === (filter === "even") ? document : null;
  }

  /** Lets time pass without a write. */
  passTo(time: Version): void {
    if (time > this.now) this.now = time;
  }

  #write({ collection, key, kind }: Write, inTransaction: boolean): void {
    const exists = this.documentAt(collection, key, this.now) !== null;
    if (kind !== "put" && !exists) return;
    const document = kind === "delete" ? null : this.#document(key);
    this.#push({ collection, key }, document);
    const operationType = kind !== "put" ? kind : exists ? "replace" : "insert";
    this.#event(operationType, { collection, key }, operationType === "update" ? null : document, inTransaction);
  }

  #push({ collection, key }: Pick<Write, "collection" | "key">, document: Buffer | null): void {
    const id = `${collection}/${key}`;
    this.#states.set(id, [...(this.#states.get(id) ?? []), { version: this.now, document }]);
  }

  #document(key: string): Buffer {
    return Buffer.from(`${key}${this.#count++}`);
  }

  #event(
    operationType: string,
    { collection, key }: Pick<Write, "collection" | "key">,
    document: Buffer | null,
    inTransaction: boolean,
  ): void {
    this.events.push({
      operationType,
      collection,
      renamedTo: null,
      version: this.now,
      documentKey: Buffer.from(key),
      document,
      inTransaction,
    });
  }
}
