import avsc from "avsc";

/** Longs as bigint. avsc's own longs are numbers, which are exact only up to 2^53. */
const BIGINT_LONG = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer(value: bigint) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
  compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
});

/**
 * Makes avsc's type from an Avro definition in JSON. Values of unions are not wrapped, longs are bigint.
 * @throws Error if the definition is not Avro
 */
export function avroType(definition: unknown): avsc.Type {
  return avsc.Type.forSchema(definition as avsc.Schema, {
    wrapUnions: "never",
    omitRecordMethods: true,
    // Not `registry: {long}`: avsc uses that for the bare name only, not for `{type: "long", logicalType}`.
    typeHook: (schema) => (isLong(schema) ? BIGINT_LONG : undefined),
  });
}

/** Whether a value is one of avsc's types. */
export function isAvroType(value: unknown): value is avsc.Type {
  return avsc.Type.isType(value);
}

function isLong(schema: unknown): boolean {
  return schema === "long" || (schema as { type?: unknown } | null)?.type === "long";
}

/** Avro's name of a type. avsc has other names for unions and for our long. */
export function avroTypeName({ typeName }: avsc.Type): string {
  if (typeName === BIGINT_LONG.typeName) return "long";
  return typeName.startsWith("union:") ? "union" : typeName;
}
