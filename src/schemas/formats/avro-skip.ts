import type { Type, types } from "avsc";
import type { AvroReader } from "./avro-reader.ts";
import { avroTypeName } from "./avro-type.ts";

/** Moves past a value. */
export type Skip = (reader: AvroReader) => void;

/**
 * Makes a function that moves past values of a type. The type may be recursive.
 * @throws TypeError if Headrace does not use such a type
 */
export function skipOf(type: Type, known = new Map<Type, Skip>()): Skip {
  const before = known.get(type);
  if (before !== undefined) return before;
  let skip: Skip | undefined;
  known.set(type, (reader) => skip?.(reader));
  skip = makeSkip(type, known);
  return skip;
}

function makeSkip(type: Type, known: Map<Type, Skip>): Skip {
  switch (avroTypeName(type)) {
    case "null":
      return () => {};
    case "boolean":
      return (reader) => reader.skip(1);
    case "double":
      return (reader) => reader.skip(8);
    case "int":
    case "long":
      return (reader) => reader.readLong();
    case "string":
    case "bytes":
      return (reader) => reader.skip(reader.readLength());
    case "array": {
      const skipItem = skipOf((type as types.ArrayType).itemsType, known);
      return (reader) => skipItems(reader, skipItem);
    }
    case "union": {
      const branches = (type as types.UnwrappedUnionType).types.map((branch) => skipOf(branch, known));
      return (reader) => branches[reader.readBranch(branches.length)]?.(reader);
    }
    case "record": {
      const fields = (type as types.RecordType).fields.map((field) => skipOf(field.type, known));
      return (reader) => {
        for (const field of fields) field(reader);
      };
    }
    default:
      throw new TypeError(`the type ${type.typeName} is not used by Headrace`);
  }
}

function skipItems(reader: AvroReader, skipItem: Skip): void {
  for (let count = reader.readBlock(); count > 0; count = reader.readBlock()) {
    for (; count > 0; count--) skipItem(reader);
  }
}
