import { Client } from "pg";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openClient } from "../consumers/postgres/fixture.ts";
import { usePgBouncer } from "../support/pgbouncer.ts";
import { uniqueName } from "../support/servers.ts";

const pgbouncer = usePgBouncer();

/** Servers with TLS only, with either, and without. PgBouncer answers TLS as PostgreSQL does. */
const urls = { require: "", allow: "", disable: "" };

beforeAll(async () => {
  for (const mode of ["require", "allow", "disable"] as const)
    urls[mode] = await pgbouncer.start({ pool_mode: "transaction", client_tls_sslmode: mode, admin_users: "postgres" });
});

const one = { text: "SELECT 1 AS one" };

/** @returns whether it connects, and why not */
async function connects(server: keyof typeof urls, parameters: Record<string, string>): Promise<string> {
  const url = new URL(urls[server]);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  if (parameters["host"] !== undefined) {
    url.hostname = parameters["host"];
    url.searchParams.delete("host");
  }
  const warnings: string[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning.message);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const outcome = await openClient({ url: url.href })
    .run(one)
    .then(
      () => "connected",
      (error: unknown) => (error as { code: string }).code,
    );
  // A warning is emitted in the next tick.
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
  return outcome;
}

describe("sslmode has libpq's meaning", () => {
  test.each([
    [undefined, "connected", "connected", "connected"],
    ["disable", "POSTGRES_UNAVAILABLE", "connected", "connected"],
    ["allow", "connected", "connected", "connected"],
    ["prefer", "connected", "connected", "connected"],
    ["require", "connected", "connected", "POSTGRES_CONNECT_FAILED"],
    ["verify-full", "POSTGRES_CONNECT_FAILED", "POSTGRES_CONNECT_FAILED", "POSTGRES_CONNECT_FAILED"],
    ["no-verify", "connected", "connected", "POSTGRES_CONNECT_FAILED"],
  ])("%s, with a server that has only TLS: %s; either: %s; no TLS: %s", async (sslmode, ...expected) => {
    const parameters = sslmode === undefined ? {} : { sslmode };
    expect([
      await connects("require", parameters),
      await connects("allow", parameters),
      await connects("disable", parameters),
    ]).toEqual(expected);
  });

  test("a root certificate is checked, and verify-full checks the name, too", async () => {
    const { authority, other } = pgbouncer.certificates;
    for (const sslmode of ["require", "verify-ca", "verify-full"]) {
      expect(await connects("require", { sslmode, sslrootcert: authority })).toBe("connected");
      expect(await connects("require", { sslmode, sslrootcert: other })).toBe("POSTGRES_CONNECT_FAILED");
    }
    const elsewhere = { sslrootcert: authority, host: "127.0.0.1" };
    expect(await connects("require", { sslmode: "verify-ca", ...elsewhere })).toBe("connected");
    expect(await connects("require", { sslmode: "verify-full", ...elsewhere })).toBe("POSTGRES_CONNECT_FAILED");
  });

  test("none given and prefer encrypt where the server can", async () => {
    const tlsOf = async (parameters: string) => {
      const name = uniqueName("asking");
      await openClient({ url: `${urls.allow}?application_name=${name}&${parameters}` }).run(one);
      const admin = new Client({ connectionString: urls.allow.replace(/[^/]*$/, "pgbouncer"), ssl: false });
      await admin.connect();
      const { rows } = await admin.query<{ application_name: string; tls: string }>("SHOW CLIENTS");
      await admin.end();
      return rows.filter((row) => row.application_name === name).map(({ tls }) => tls !== "");
    };
    expect(await tlsOf("")).toEqual([true]);
    expect(await tlsOf("sslmode=prefer")).toEqual([true]);
    expect(await tlsOf("sslmode=allow")).toEqual([false]);
  });

  test.each([
    [{ sslmode: "verify-ca" }, "POSTGRES_CONNECT_FAILED"],
    [{ sslmode: "always" }, "POSTGRES_CONNECT_FAILED"],
    [{ sslmode: "require", sslrootcert: "/no/such/file" }, "TLS_FILE_UNREADABLE"],
  ])("%o is refused", async (parameters, code) => {
    expect(await connects("require", parameters)).toBe(code);
  });
});
