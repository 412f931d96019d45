// A trigger that returns NULL leaves a row out, and PostgreSQL does not say so: fewer rows are also written where they are
// newer already. So `check` and a start warn of such triggers, and `verify` finds the rows.
import { expect, test } from "vitest";
import { freshPipeline } from "../../support/pipeline.ts";

const WARNING =
  /! can store the collection things in the table .*\n +Triggers of .* may leave rows out: (.*)\. A row for which/;

function body(text: string): string {
  return `RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${text} END $$`;
}

test("check and a start warn of a trigger that may leave rows out, and verify finds those that it has", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  const { pool, db } = pipeline;
  const things = db.collection<{ _id: string }>("things");
  await things.insertMany([{ _id: "a" }, { _id: "skipped" }]);
  await pool.query(`CREATE TABLE things (_id text PRIMARY KEY, _version bigint, doc jsonb);
    CREATE FUNCTION skip() ${body("IF NEW._id = 'skipped' THEN RETURN NULL; END IF; RETURN NEW;")};
    CREATE TRIGGER skip BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION skip()`);
  const checked = await pipeline.run("check");
  expect(WARNING.exec(checked.stdout)?.[1], checked.stdout).toBe("skip (BEFORE INSERT OR UPDATE)");
  expect(checked.exitCode).toBe(0);

  const run = await pipeline.run("run", "--once");
  expect(run.exitCode).toBe(0);
  expect(run.stderr).toContain("may leave rows out: skip");
  expect((await pool.query("SELECT _id FROM things")).rows).toEqual([{ _id: "a" }]);
  expect((await pipeline.run("dlq", "list")).stdout).toBe("No open dead letters.\n");
  const verified = await pipeline.run("verify", "--json");
  expect(JSON.parse(verified.stdout)).toMatchObject({
    collections: [{ missing: ["skipped"], different: [], extra: [] }],
  });
  expect(verified.exitCode).toBe(1);
});

test("check names the triggers that may, and no others", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  const { pool } = pipeline;
  await pipeline.db.createCollection("things");
  await pool.query(`CREATE TABLE things (_id text PRIMARY KEY, _version bigint, doc jsonb);
    CREATE FUNCTION passes() ${body("RETURN NEW;")};
    CREATE FUNCTION skips() ${body("RETURN\n  null;")};
    CREATE FUNCTION passes_deletes() ${body("IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW;")};
    CREATE TRIGGER stamps BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION passes();
    CREATE TRIGGER guards BEFORE INSERT OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION passes_deletes();
    CREATE TRIGGER audits AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION skips();
    CREATE TRIGGER counts BEFORE INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION skips();
    CREATE TRIGGER off BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION skips();
    ALTER TABLE things DISABLE TRIGGER off`);
  expect((await pipeline.run("check")).stdout).toContain("All checks passed.\n");

  await pool.query(`
    CREATE TRIGGER forgets BEFORE DELETE ON things FOR EACH ROW EXECUTE FUNCTION passes();
    CREATE TRIGGER is_equal BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`);
  const checked = (await pipeline.run("check")).stdout;
  expect(WARNING.exec(checked)?.[1], checked).toBe("forgets (BEFORE DELETE)");
});

test("check names a trigger of a partition", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  await pipeline.db.createCollection("things");
  await pipeline.pool
    .query(`CREATE TABLE things (_id text PRIMARY KEY, _version bigint, doc jsonb) PARTITION BY HASH (_id);
    CREATE TABLE things_0 PARTITION OF things FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE FUNCTION skips() ${body("RETURN NULL;")};
    CREATE TRIGGER skips BEFORE INSERT ON things_0 FOR EACH ROW EXECUTE FUNCTION skips()`);
  const checked = (await pipeline.run("check")).stdout;
  expect(WARNING.exec(checked)?.[1], checked).toBe("skips (BEFORE INSERT)");
});
