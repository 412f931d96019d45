import { createEventEncoder } from "../../schemas/encoding/event-encoder.ts";
import type { EventEncoder } from "../../schemas/encoding/event-encoder.ts";
import { idTypeOfDocuments } from "../../schemas/keys/document-key.ts";
import { collectionIdType } from "../../schemas/keys/id-type.ts";
import type { CollectionOrigin } from "../../schemas/mapping/collection-schema.ts";
import { collectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionMapping, IdType, NulCharacters, RedactionRules } from "../../schemas/mapping/mapping.ts";
import { Redactor } from "../../schemas/redaction/redactor.ts";
import { registeredDefinitions, registeredIdType } from "../../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { topicOf } from "../../schemas/topics.ts";

export interface CollectionEncodersOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  readonly headraceVersion: string;
  readonly registry: SchemaRegistry;
  readonly nulCharacters: NulCharacters;
  readonly mappingOf: (collection: string) => CollectionMapping;
  /** The first and the last document by `_id`, if there are any; raw BSON with at least the `_id`. */
  readonly idEnds: (collection: string) => Promise<readonly Uint8Array[]>;
}

/** The event encoders of the collections. Each is made as soon as the collection's `_id` type is known. */
export class CollectionEncoders {
  readonly #options: CollectionEncodersOptions;
  readonly #encoders = new Map<string, EventEncoder>();

  constructor(options: CollectionEncodersOptions) {
    this.#options = options;
  }

  /**
   * Registers the schemas of the collections, so that the registry refuses them before any data moves. A collection that
   * is empty and new waits for its first document.
   * @throws HeadraceError SCHEMA_REFUSED, MAPPING_INVALID, or an error of the registry
   */
  async prepare(collections: readonly string[]): Promise<void> {
    for (const collection of collections) await this.encoderOf(collection, null);
  }

  /**
   * @param documentKey of the event to encode: the first document of a new collection tells its `_id` type. Null for an
   * event without a document.
   * @returns undefined if the `_id` type is not known
   * @throws HeadraceError as `prepare`; ID_TYPE_MISMATCH or KEY_INVALID if the first document cannot have a key
   */
  async encoderOf(collection: string, documentKey: Uint8Array | null): Promise<EventEncoder | undefined> {
    const made = this.#encoders.get(collection);
    if (made !== undefined) return made;
    const mapping = this.#options.mappingOf(collection);
    const idType = await this.#idTypeOf(mapping, documentKey === null ? [] : [documentKey]);
    if (idType === undefined) return undefined;
    const encoder = await this.#make(mapping, idType);
    this.#encoders.set(collection, encoder);
    return encoder;
  }

  async #idTypeOf(
    { collection, idType: declared }: CollectionMapping,
    first: readonly Uint8Array[],
  ): Promise<IdType | undefined> {
    const { registry, idEnds } = this.#options;
    return collectionIdType(collection, {
      declared,
      registered: () => registeredIdType(registry, this.#origin(collection).topic),
      found: async () => idTypeOfDocuments(await idEnds(collection)) ?? idTypeOfDocuments(first),
    });
  }

  async #make(mapping: CollectionMapping, idType: IdType): Promise<EventEncoder> {
    const { registry, headraceVersion, nulCharacters } = this.#options;
    const origin = this.#origin(mapping.collection);
    const schema = collectionSchema(mapping, idType, origin, await registeredDefinitions(registry, origin.topic));
    const key = await registry.register(schema.keySubject, schema.keySchema);
    const truncateKey = await registry.register(schema.keySubject, schema.truncateKeySchema);
    const value = await registry.register(schema.valueSubject, schema.valueSchema);
    const schemaIds = { key, truncateKey, value };
    const encoder = createEventEncoder({ schema, schemaIds, headraceVersion, nulCharacters });
    return mapping.redaction === undefined ? encoder : redacting(encoder, mapping.redaction);
  }

  #origin(collection: string): CollectionOrigin {
    const { name, database } = this.#options;
    return { name, database, topic: topicOf(name, database, collection) };
  }
}

/** An encoder that never sees what must not leave the producer. */
function redacting(encoder: EventEncoder, { redactions, hashKey }: RedactionRules): EventEncoder {
  const redactor = new Redactor(redactions, hashKey);
  return {
    encode: (event) =>
      encoder.encode(
        event.op === "t" || event.document === null ? event : { ...event, document: redactor.redact(event.document) },
      ),
  };
}
