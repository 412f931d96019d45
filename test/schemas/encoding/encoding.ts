import { createEventEncoder, type EncodedEvent } from "../../../src/schemas/encoding/event-encoder.ts";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { escapeAvroName } from "../../../src/schemas/mapping/avro-name.ts";
import { collectionSchema, type RegisteredDefinitions } from "../../../src/schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
// An encoder with its decoder, for tests.
import type { ColumnMapping, IdType, NulCharacters } from "../../../src/schemas/mapping/mapping.ts";
import { documentBytes, type Field, field } from "../formats/bson-model.ts";

export const OBJECT_ID = Buffer.from("65f0c0ffee00000000000001", "hex");
export const ID_FIELD: Field = field("_id", { type: "objectId", bytes: OBJECT_ID });

interface DecodedEnvelope {
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly source: Readonly<Record<string, unknown>>;
  readonly op: string;
  readonly ts_ms: bigint;
}

export interface DecodedEvent extends EncodedEvent {
  readonly decodedKey: unknown;
  readonly envelope: DecodedEnvelope;
  /** avsc's own encoding of the envelope. */
  readonly avscBytes: Buffer;
}

/** A column for each name. Without a path, for the field with this name. */
export function columnsOf(
  types: Readonly<Record<string, string | { path: readonly string[]; type: string }>>,
): readonly ColumnMapping[] {
  return Object.entries(types).map(([name, column]) =>
    typeof column === "string"
      ? { name, path: [name], type: parseColumnType(column) }
      : { name, path: column.path, type: parseColumnType(column.type) },
  );
}

/** @param columns if omitted, document mode */
export function createTestEncoder(
  columns: readonly ColumnMapping[] | undefined,
  idType: IdType = "objectId",
  nulCharacters: NulCharacters = "replace",
  registered?: RegisteredDefinitions,
) {
  const schema = collectionSchema(
    {
      collection: "products",
      mode: columns === undefined ? "document" : "columns",
      columns: columns ?? [],
      children: [],
      idType,
    },
    idType,
    { name: "shop", database: "db", topic: "shop.db.products" },
    registered,
  );
  const encoder = createEventEncoder({
    schema,
    schemaIds: { key: 7, truncateKey: 8, value: 70_000 },
    headraceVersion: "1.2.3",
    nulCharacters,
    now: () => 1_700_000_000_001,
  });
  const keyType = avroType(schema.keySchema);
  const valueType = avroType(schema.valueSchema);
  const decodeValue = (value: Buffer) => valueType.fromBuffer(value.subarray(5)) as DecodedEnvelope;
  const decode = (event: EncodedEvent): DecodedEvent => {
    const envelope = decodeValue(event.value);
    const decodedKey = keyType.fromBuffer(event.key.subarray(5)) as unknown;
    return { ...event, decodedKey, envelope, avscBytes: valueType.toBuffer(envelope) };
  };
  return {
    schema,
    encoder,
    decode,
    decodeValue,
    encodeRaw: (document: Buffer) =>
      decode(
        encoder.encode({
          op: "c",
          collection: "products",
          documentKey: documentBytes([ID_FIELD]),
          document,
          version: (1_700_000_000n << 32n) | 5n,
        }),
      ),
    /** A document with these fields after its `_id`. */
    encode(fields: readonly Field[]) {
      return this.encodeRaw(documentBytes([ID_FIELD, ...fields]));
    },
  };
}

export function columnOf({ envelope }: DecodedEvent, column: string): unknown {
  return envelope.after?.[escapeAvroName(column)];
}
