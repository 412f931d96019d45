// Commands of a PostgreSQL user who lacks a right: the error says on what, and which right it is.
import { expect, test } from "vitest";
import { freshPipeline } from "../../support/pipeline.ts";
import { freshPostgresUser } from "../../support/servers.ts";

test("status, verify, dlq and remove name the object on which a right is missing, and the printed GRANT gives it", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  const { pool, schema } = pipeline;
  await pipeline.db.collection("things").insertOne({ a: 1 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const user = await freshPostgresUser();
  const limited = await pipeline.through({ postgresUrl: user.url });
  const refused = async (...command: string[]): Promise<string> => {
    const { exitCode, stderr } = await limited.run(...command);
    expect(stderr, command.join(" ")).toContain(
      "error: POSTGRES_RIGHTS_MISSING: PostgreSQL: 42501 (insufficient privilege)",
    );
    expect(stderr, command.join(" ")).toContain("docs/rights.md");
    expect(exitCode).toBe(1);
    return stderr;
  };
  const grant = async (stderr: string): Promise<void> => {
    const [, command = ""] = /`(GRANT [^`]*;)`/.exec(stderr) ?? [];
    await pool.query(command.replace("TO ROLE;", `TO ${user.name};`));
  };

  for (const command of [["status"], ["dlq", "list"], ["dlq", "replay"]])
    // Of the queries that a command sends at once, any may be the first that is refused.
    expect((await limited.run(...command)).stderr).toMatch(
      /POSTGRES_RIGHTS_MISSING: .*(own tables in the schema "headrace"|denied for schema headrace)\.\n.*GRANT USAGE ON SCHEMA "headrace"/,
    );
  const listed = await limited.run("dlq", "list");
  for (const [command] of listed.stderr.matchAll(/GRANT .*?;/g)) await pool.query(command);
  expect((await limited.run("dlq", "list")).exitCode).toBe(0);

  expect(await refused("status")).toContain(`: permission denied for schema ${schema}.`);
  const verified = await refused("verify");
  expect(verified).toContain(`: permission denied for schema ${schema}.`);
  await grant(verified);
  expect(await refused("verify")).toContain(": permission denied for table things.");
  await pool.query(`GRANT SELECT ON ${schema}.things TO ${user.name}`);
  const { exitCode, stdout, stderr } = await limited.run("verify");
  expect(exitCode, stdout + stderr).toBe(0);
  expect((await limited.run("status")).exitCode).toBe(0);

  const removed = await refused("remove", "--collection", "things", "--tables", "--yes");
  expect(removed).toMatch(/: must be owner of table things\.\n.*Only the owner can do this/);
});
