import { expect, test } from "vitest";
import { collectionIdType } from "../../../src/schemas/keys/id-type.ts";
import type { IdType } from "../../../src/schemas/mapping/mapping.ts";

const asked: string[] = [];

function source(name: string, type: IdType | undefined): () => Promise<IdType | undefined> {
  return async () => {
    asked.push(name);
    return type;
  };
}

test.each<[IdType | undefined, IdType | undefined, IdType | undefined, IdType | undefined, string[]]>([
  ["mixed", "mixed", "string", "mixed", ["registered"]],
  ["mixed", undefined, "string", "mixed", ["registered"]],
  [undefined, "integer", "string", "integer", ["registered"]],
  [undefined, undefined, "string", "string", ["registered", "found"]],
  [undefined, undefined, undefined, undefined, ["registered", "found"]],
])("declared %s, registered %s, found %s: %s", async (declared, registered, found, expected, expectedAsked) => {
  asked.length = 0;
  const sources = { declared, registered: source("registered", registered), found: source("found", found) };
  expect(await collectionIdType("things", sources)).toBe(expected);
  expect(asked).toEqual(expectedAsked);
});

test("a declared type that is not the registered one is refused: each document would get a second key", async () => {
  const sources = {
    declared: "mixed",
    registered: source("registered", "integer"),
    found: source("found", "integer"),
  } as const;
  await expect(collectionIdType("things", sources)).rejects.toMatchObject({
    code: "ID_TYPE_CHANGED",
    message: expect.stringContaining('"things"'),
  });
});
