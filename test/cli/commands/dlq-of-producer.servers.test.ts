// Dead letters of documents that the producer could not encode. The producer does not know the tables.
import { expect, test } from "vitest";
import { deadLetterTopic } from "../../../src/schemas/topics.ts";
import { asKafkaAdmin } from "../../support/kafka-admin.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Commands } from "../../support/pipeline.ts";

test("a dead letter of the producer is listed, shown, counted and found with its table and key", async () => {
  const pipeline = await freshPipeline({ collections: { items: { idType: "integer", table: "stock" } } });
  const items = pipeline.db.collection<{ _id: number | string }>("items");
  await items.insertMany([{ _id: 1 }, { _id: "two" }]);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);

  const table = `${pipeline.schema}.stock`;
  const listed = await pipeline.run("dlq", "list", "--json", "--table", "stock");
  expect(JSON.parse(listed.stdout), listed.stderr).toMatchObject([{ table, key: '"two"', code: "ID_TYPE_MISMATCH" }]);
  const [{ id }] = JSON.parse(listed.stdout) as [{ id: string }];
  expect((await pipeline.run("dlq", "list", "--table", "items")).stderr).toContain(table);
  const text = (await pipeline.run("dlq", "list")).stdout;
  expect(text).toMatch(/id +│ table +│ key +│ error/);
  expect(text).toContain(` ${table} │ "two" │ ID_TYPE_MISMATCH `);
  expect((await pipeline.run("dlq", "show", id)).stdout).toMatch(new RegExp(`table +${table}\nkey +"two"\n`));
  expect(JSON.parse((await pipeline.run("status", "--json")).stdout)).toMatchObject({
    deadLetters: [{ table, open: 1 }],
  });
  expect((await pipeline.run("dlq", "discard", "--table", table)).stdout).toBe("1 discarded.\n");
});

test("a dead letter whose _id cannot be a key shows it, is chosen by it or by its id, and one text says what can be done", async () => {
  const pipeline = await freshPipeline({ collections: { items: { idType: "string" } } });
  const items = pipeline.db.collection<{ _id: string }>("items");
  await items.insertMany([{ _id: "ok" }, { _id: "a\0b" }, { _id: "c\0d" }]);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);

  const listed = await pipeline.run("dlq", "list", "--json", "--key", '"a\\u0000b"');
  expect(JSON.parse(listed.stdout), listed.stderr).toMatchObject([
    { code: "KEY_INVALID", key: null, unusableId: '"a\\u0000b"' },
  ]);
  const [{ id }] = JSON.parse(listed.stdout) as [{ id: string }];
  expect((await pipeline.run("dlq", "list")).stdout).toMatch(
    / "a\\u0000b" │ KEY_INVALID [^]* "c\\u0000d" │ KEY_INVALID /,
  );

  const canBeDone =
    "the document cannot be read again by its _id. Give it another _id in MongoDB if it is still there, then";
  const shown = await pipeline.run("dlq", "show", id);
  expect(shown.stdout).toContain('key       "a\\u0000b", which cannot be a key\n');
  expect(shown.stdout).toContain("record    none, because the producer could not write the document\n");
  expect(shown.stdout).toContain(`replay    ${canBeDone} run \`headrace dlq discard ID\`.\n`);
  const replayed = await pipeline.run("dlq", "replay", id);
  expect(replayed.stdout).toBe(`0 replayed.\n1 still open: ${canBeDone} run \`headrace dlq discard ID\`.\n`);
  expect(replayed.exitCode).toBe(1);
  expect((await pipeline.run("dlq", "discard", id)).stdout).toBe("1 discarded.\n");
  expect((await pipeline.run("dlq", "show", id)).stdout).not.toContain("replay  ");
  expect((await pipeline.run("dlq", "discard", "--key", '"c\\u0000d"')).stdout).toBe("1 discarded.\n");
});

test("dlq show says of each dead letter what a replay does with it", async () => {
  const pipeline = await freshPipeline({ collections: { items: { idType: "integer" }, carts: {} } });
  await pipeline.db.collection<{ _id: number | string }>("items").insertMany([{ _id: 1 }, { _id: "two" }]);
  await pipeline.pool.query("CREATE TABLE carts (_id text PRIMARY KEY, doc jsonb CHECK (doc IS NULL))");
  await pipeline.db.collection("carts").insertOne({ a: 1 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const letters = JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout) as { id: string; code: string }[];
  const idOf = (code: string) => letters.find((letter) => letter.code === code)?.id ?? "";
  const show = async (code: string, commands = pipeline as Commands) =>
    (await commands.run("dlq", "show", idOf(code))).stdout;
  expect(await show("ID_TYPE_MISMATCH")).toContain("replay    has a running producer read the document again.\n");
  expect(await show("CONSTRAINT_VIOLATED")).toContain(
    "replay    applies the record if nothing newer is known of its key.\n",
  );
  const smaller = await pipeline.reconfigured({ collections: { things: {} } });
  for (const code of ["ID_TYPE_MISMATCH", "CONSTRAINT_VIOLATED"])
    expect(await show(code, smaller)).toContain("replay    the config does not replicate the collection.\n");
  expect((await smaller.run("dlq", "replay")).stdout).toContain(
    "2 still open: the config does not replicate the collection.\n",
  );
});

test("a replay of more dead letters than the window allows does not end the producer", async () => {
  const pipeline = await freshPipeline({
    collections: { items: { idType: "integer" } },
    deadLetters: { window: { max: 3, records: 10_000 } },
  });
  const items = pipeline.db.collection<{ _id: number | string }>("items");
  await items.insertMany([{ _id: 1 }, { _id: "two" }, { _id: "three" }, { _id: "four" }]);
  pipeline.start("run");
  const list = async () => JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout) as unknown[];
  await expect.poll(list, { timeout: 60_000 }).toHaveLength(3);
  for (const failures of [1, 2]) {
    const { stdout, stderr } = await pipeline.run("dlq", "replay", "--json");
    expect(JSON.parse(stdout), stderr).toMatchObject({ failed: 3 });
    expect(await list()).toMatchObject([1, 2, 3].map(() => ({ attempts: failures + 1 })));
  }
  await items.insertOne({ _id: 2 });
  const ids = async () => (await pipeline.pool.query("SELECT _id FROM items ORDER BY 1")).rows;
  await expect.poll(ids, { timeout: 60_000 }).toEqual([{ _id: "1" }, { _id: "2" }]);
});

test("dead letters of two incarnations of the dead-letter topic with one offset stay two, also when they fail again", async () => {
  const pipeline = await freshPipeline({ collections: { items: { idType: "integer" } } });
  const items = pipeline.db.collection<{ _id: number | string }>("items");
  await items.insertMany([{ _id: 1 }, { _id: "two" }]);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  await deleteDeadLetterTopic(pipeline.name);
  await items.insertOne({ _id: "three" });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const list = async () =>
    JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout) as { id: string; key: string; attempts: number }[];
  const before = await list();
  expect(before).toMatchObject([
    { id: expect.stringMatching(/\.dlq\/0\/\d+@[0-9a-f]{8}$/), key: '"two"' },
    { id: expect.stringMatching(/\.dlq\/0\/\d+$/), key: '"three"' },
  ]);
  pipeline.start("run");
  const { stdout, stderr } = await pipeline.run("dlq", "replay", "--json");
  expect(JSON.parse(stdout), stderr).toMatchObject({ replayed: 0, failed: 2 });
  const after = await list();
  expect(after.map(({ key }) => key).toSorted()).toEqual(['"three"', '"two"']);
  expect(new Set(after.map(({ id }) => id)).size).toBe(2);
  expect(after.find(({ key }) => key === '"three"')).toMatchObject({ id: before[1]!.id, attempts: 2 });
  for (const { id } of after) expect((await pipeline.run("dlq", "discard", id)).stdout).toBe("1 discarded.\n");
  expect(await list()).toEqual([]);
});

test("a dead letter of a dead-letter topic that was created again is not taken for a closed one of the old topic", async () => {
  const pipeline = await freshPipeline({ collections: { items: { idType: "integer" } } });
  const items = pipeline.db.collection<{ _id: number | string }>("items");
  await items.insertMany([{ _id: 1 }, { _id: "two" }]);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect((await pipeline.run("dlq", "discard", "--all")).stdout).toBe("1 discarded.\n");
  await deleteDeadLetterTopic(pipeline.name);
  await items.insertOne({ _id: "three" });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const { stdout } = await pipeline.run("dlq", "list", "--json");
  expect(JSON.parse(stdout)).toMatchObject([{ key: '"three"' }]);
  expect((await pipeline.run("dlq", "discard", "--all")).stdout).toBe("1 discarded.\n");
  expect((await pipeline.run("dlq", "list")).stdout).toBe("No open dead letters.\n");
});

async function deleteDeadLetterTopic(pipeline: string): Promise<void> {
  await asKafkaAdmin(async (admin) => {
    const topic = deadLetterTopic(pipeline);
    await admin.deleteTopics({ topics: [topic] });
    await expect.poll(() => admin.listTopics()).not.toContain(topic);
  });
}
