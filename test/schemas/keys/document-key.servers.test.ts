import * as fc from "fast-check";
import { MongoBulkWriteError } from "mongodb";
import { describe, expect, it } from "vitest";
import { canonicalKey, keyToId } from "../../../src/schemas/keys/document-key.ts";
import { anyId, documentOf, numberId } from "../../support/id-arbitraries.ts";
import { freshMongoDatabase, uniqueName } from "../../support/servers.ts";

const { db } = await freshMongoDatabase();

/** Inserts them in order; gives the places of those that MongoDB holds for the `_id` of an earlier one. */
async function duplicatesOf(collection: string, ids: readonly unknown[]): Promise<number[]> {
  try {
    await db.collection<{ _id: unknown }>(collection).insertMany(
      ids.map((_id) => ({ _id })),
      { ordered: false, forceServerObjectId: true },
    );
    return [];
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const errors = [error.writeErrors].flat();
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => 11_000));
    return errors.map(({ index }) => index).sort((left, right) => left - right);
  }
}

function expectedDuplicates(keys: readonly string[]): number[] {
  return keys.flatMap((key, index) => (keys.indexOf(key) < index ? [index] : []));
}

describe("a canonical key of a mixed collection", () => {
  it.each([
    ["numbers", numberId],
    ["anything", anyId],
  ])("is the same for two _ids if and only if MongoDB reports a duplicate key (%s)", async (_what, arbitrary) => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitrary, { minLength: 2, maxLength: 200, size: "max" }), async (ids) => {
        const keys = ids.map((id) => canonicalKey("mixed", documentOf(id)));
        expect(await duplicatesOf(uniqueName("ids"), ids)).toEqual(expectedDuplicates(keys));
      }),
      { numRuns: 40 },
    );
  });

  it("finds its document", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyId, { minLength: 1, maxLength: 60, size: "max" }), async (ids) => {
        const collection = uniqueName("ids");
        await duplicatesOf(collection, ids);
        for (const key of new Set(ids.map((id) => canonicalKey("mixed", documentOf(id))))) {
          const found = await db
            .collection<{ _id: unknown }>(collection)
            .findOne({ _id: keyToId("mixed", key) } as object, { raw: true });
          expect(found && canonicalKey("mixed", found as unknown as Uint8Array)).toBe(key);
        }
      }),
      { numRuns: 20 },
    );
  });
});
