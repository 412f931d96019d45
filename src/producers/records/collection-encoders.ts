import { createEventEncoder } from "../../schemas/encoding/event-encoder.ts";
import type { EventEncoder } from "../../schemas/encoding/event-encoder.ts";
import { idTypeOf } from "../../schemas/keys/document-key.ts";
import type { CollectionOrigin } from "../../schemas/mapping/collection-schema.ts";
import { collectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionMapping, IdType, NulCharacters } from "../../schemas/mapping/mapping.ts";
import { registeredIdType } from "../../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { topicOf } from "../../schemas/topics.ts";

export interface CollectionEncodersOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  /** Headrace's own. */
  readonly version: string;
  readonly registry: SchemaRegistry;
  readonly nulCharacters: NulCharacters;
  readonly mappingOf: (collection: string) => CollectionMapping;
  /** The first and the last document by `_id`, as far as there are any; raw BSON with at least the `_id`. */
  readonly idEnds: (collection: string) => Promise<readonly Uint8Array[]>;
}

/** The event encoders of the collections, each made when its `_id` type is known. */
export class CollectionEncoders {
  readonly #options: CollectionEncodersOptions;
  readonly #encoders = new Map<string, EventEncoder>();

  constructor(options: CollectionEncodersOptions) {
    this.#options = options;
  }

  /**
   * Registers the schemas of the collections, so that a refusal comes before any data moves. An empty collection
   * whose `_id` type is nowhere told has to wait for its first document.
   * @throws HeadraceError SCHEMA_REFUSED, MAPPING_INVALID, or that the registry is not to be had
   */
  async prepare(collections: readonly string[]): Promise<void> {
    for (const collection of collections) {
      const mapping = this.#options.mappingOf(collection);
      const idType = await this.#knownIdType(mapping);
      if (idType !== undefined) this.#encoders.set(collection, await this.#make(mapping, idType));
    }
  }

  /**
   * @param documentKey of the event that is to be encoded: a new collection's `_id` type is that of its first
   * document; null where there is none, which gives undefined while the type is not known
   * @throws HeadraceError, also ID_TYPE_MISMATCH or KEY_INVALID where that first one cannot be a key
   */
  async encoderOf(collection: string, documentKey: Uint8Array | null): Promise<EventEncoder | undefined> {
    const made = this.#encoders.get(collection);
    if (made !== undefined) return made;
    const mapping = this.#options.mappingOf(collection);
    const first = documentKey === null ? [] : [documentKey];
    const idType = (await this.#knownIdType(mapping)) ?? idTypeOf(first);
    if (idType === undefined) return undefined;
    const encoder = await this.#make(mapping, idType);
    this.#encoders.set(collection, encoder);
    return encoder;
  }

  /** As declared, else as registered, else as the collection is. */
  async #knownIdType({ collection, idType }: CollectionMapping): Promise<IdType | undefined> {
    const { registry, idEnds } = this.#options;
    if (idType !== undefined) return idType;
    const kept = await registeredIdType(registry, this.#origin(collection).topic);
    return kept ?? idTypeOf(await idEnds(collection));
  }

  async #make(mapping: CollectionMapping, idType: IdType): Promise<EventEncoder> {
    const { registry, version, nulCharacters } = this.#options;
    const schema = collectionSchema(mapping, idType, this.#origin(mapping.collection));
    const key = await registry.register(schema.keySubject, schema.keySchema);
    const value = await registry.register(schema.valueSubject, schema.valueSchema);
    return createEventEncoder({ schema, schemaIds: { key, value }, headraceVersion: version, nulCharacters });
  }

  #origin(collection: string): CollectionOrigin {
    const { name, database } = this.#options;
    return { name, database, topic: topicOf(name, database, collection) };
  }
}
