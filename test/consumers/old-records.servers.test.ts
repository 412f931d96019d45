// Records that version 0.1.0 wrote.
import { serialize } from "bson";
import { expect, test } from "vitest";
import type { AvroRecord } from "../../src/schemas/mapping/envelope.ts";
import { OLD_TRUNCATE_KEY } from "../../src/schemas/topics.ts";
import { OLD_TYPES, oldValueSchema } from "../support/schemas-of-0-1-0.ts";
import { uniqueName } from "../support/servers.ts";
import { freshCollection } from "./consumer-fixture.ts";
import type { Collection } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";

const fixture = useKafka();

/** An envelope of version 0.1.0: `before` is null for a delete, too. */
async function oldValue(
  { registry, topic, pipeline }: Collection,
  op: string,
  version: number,
  after: object | null = null,
): Promise<Buffer> {
  const { text: name, integer: price } = OLD_TYPES;
  const registered = await registry.schema(
    await registry.register(
      uniqueName("old-value"),
      oldValueSchema(topic.replaceAll("-", "_"), "string", { name, price }) as AvroRecord,
    ),
  );
  const header = Buffer.alloc(5);
  header.writeInt32BE(registered.id, 1);
  const source = { version: "0.1.0", connector: "mongodb", name: pipeline, ts_ms: 0n, snapshot: "false", db: "shop" };
  const envelope = {
    before: null,
    after,
    source: { ...source, collection: "products", cluster_time: BigInt(version) },
    op,
    ts_ms: 1n,
  };
  return Buffer.concat([header, registered.type.toBuffer(envelope)]);
}

test("deletes and truncates of version 0.1.0 are applied, before and after records of today", async () => {
  const collection = await freshCollection(fixture);
  const { encoder, topic } = collection;
  const document = (id: string, version: number) => ({ id, version, document: { name: id, price: 1 } });
  const documentKey = serialize({ _id: "b" });
  const { key } = encoder.encode({ op: "d", collection: "products", documentKey, document: null, version: 1n });
  await collection.publish([document("a", 1), document("b", 2), document("c", 5)]);
  await fixture.publish(topic, [{ key, value: await oldValue(collection, "d", 3), partition: 0 }]);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toEqual(["a", "c"]);
  await fixture.publish(topic, [{ key: OLD_TRUNCATE_KEY, value: await oldValue(collection, "t", 4), partition: 0 }]);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toEqual(["c"]);
  await collection.publish([document("d", 7)]);
  await collection.truncate(6);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toEqual(["d"]);
});

test("documents with the schema of version 0.1.0 are applied, before and after records of today", async () => {
  const collection = await freshCollection(fixture);
  const { encoder, topic } = collection;
  const documentKey = serialize({ _id: "a" });
  const { key } = encoder.encode({ op: "d", collection: "products", documentKey, document: null, version: 1n });
  const row = async () => (await collection.rows())["a"];
  const publishOld = async (op: string, version: number, price: bigint): Promise<void> => {
    const value = await oldValue(collection, op, version, { _id: "a", name: "old", price, _extra: null });
    await fixture.publish(topic, [{ key, value, partition: 0 }]);
    await collection.consume();
  };
  await publishOld("r", 1, 1n);
  expect(await row()).toEqual({ version: 1, name: "old", price: 1 });
  await collection.publish([{ id: "a", version: 2, document: { name: "new", price: 2 } }]);
  await collection.consume();
  expect(await row()).toEqual({ version: 2, name: "new", price: 2 });
  await publishOld("u", 3, 3n);
  expect(await row()).toEqual({ version: 3, name: "old", price: 3 });
});
