import { describe, expect, it, onTestFinished } from "vitest";
import { avroTypeOf, parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { envelopeDefinition, keyDefinition } from "../../../src/schemas/mapping/envelope.ts";
import { createSchemaRegistry } from "../../../src/schemas/registry/registry.ts";
import { startHttpProxy } from "../../support/http-proxy.ts";
import { servers, uniqueName } from "../../support/servers.ts";

const registry = () => createSchemaRegistry({ url: servers().schemaRegistryUrl });

function valueDefinition(namespace: string, types: Record<string, string>) {
  const fields = Object.entries(types)
    .map(([column, sql]) => ({ column, type: parseColumnType(sql) }))
    .map(({ column, type }) => ({ column, type, avroType: avroTypeOf(type), doc: "" }));
  return envelopeDefinition(namespace, "string", { fields, children: [] });
}

describe("the schema registry", () => {
  it("returns a registered schema by its id, with the properties of its fields", async () => {
    const subject = uniqueName("subject");
    const definition = valueDefinition(subject, { "a name": "numeric(10,2)" });
    const id = await registry().register(subject, definition);
    const other = registry();
    expect(other.cached(id)).toBeUndefined();
    const found = await other.schema(id);
    expect(found).toMatchObject({ id, definition });
    expect(other.cached(id)).toBe(found);
    expect((await other.latest(subject))?.id).toBe(id);
  });

  it("returns the same object to simultaneous requests for an id", async () => {
    const subject = uniqueName("subject");
    const id = await registry().register(subject, keyDefinition(subject, "string"));
    const other = registry();
    const [first, second] = await Promise.all([other.schema(id), other.schema(id)]);
    expect(first).toBe(second);
  });

  it("gives the same schema the same id, and another id if only a column's SQL type differs", async () => {
    const subject = uniqueName("subject");
    const id = await registry().register(subject, valueDefinition(subject, { a: "text" }));
    expect(await registry().register(subject, valueDefinition(subject, { a: "text" }))).toBe(id);
    const narrower = valueDefinition(subject, { a: "varchar(10)" });
    const second = await registry().register(subject, narrower);
    expect(second).not.toBe(id);
    expect((await registry().schema(second)).definition).toEqual(narrower);
    expect((await registry().latest(subject))?.id).toBe(second);
  });

  it("accepts simultaneous registrations of a new subject", async () => {
    for (let rounds = 0; rounds < 10; rounds++) {
      const subject = uniqueName("subject");
      const definition = keyDefinition(subject, "string");
      const ids = await Promise.all([1, 2, 3].map(() => registry().register(subject, definition)));
      expect(new Set(ids).size).toBe(1);
    }
  });

  it("accepts added and removed columns", async () => {
    const subject = uniqueName("subject");
    await registry().register(subject, valueDefinition(subject, { a: "text" }));
    await registry().register(subject, valueDefinition(subject, { a: "text", b: "bigint" }));
    await registry().register(subject, valueDefinition(subject, { b: "bigint" }));
  });

  it("refuses a column that changes from bigint to text, and names the subject", async () => {
    const subject = uniqueName("subject");
    await registry().register(subject, valueDefinition(subject, { a: "bigint" }));
    await expect(registry().register(subject, valueDefinition(subject, { a: "text" }))).rejects.toMatchObject({
      code: "SCHEMA_REFUSED",
      kind: "fatal",
      message: expect.stringContaining(subject),
    });
  });

  it("refuses to change a subject that has another compatibility", async () => {
    const subject = uniqueName("subject");
    await registry().register(subject, valueDefinition(subject, { a: "text" }));
    const set = await fetch(`${servers().schemaRegistryUrl}/config/${subject}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ compatibility: "FULL" }),
    });
    expect(set.ok).toBe(true);
    await expect(registry().register(subject, valueDefinition(subject, { a: "text" }))).rejects.toMatchObject({
      code: "SCHEMA_REFUSED",
      message: expect.stringMatching(`${subject}.*BACKWARD != FULL`),
      remedy: expect.stringContaining("BACKWARD"),
    });
  });

  it("sets the compatibility that an interrupted registration did not set", async () => {
    const { schemaRegistryUrl } = servers();
    const proxy = await startHttpProxy(schemaRegistryUrl);
    onTestFinished(() => proxy.close());
    proxy.setRequestVerdict((kind) => (kind.startsWith("PUT") ? "cut" : "pass"));
    const subject = uniqueName("subject");
    const definition = valueDefinition(subject, { a: "text" });
    const broken = createSchemaRegistry({ url: proxy.url }).register(subject, definition);
    await expect(broken).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    await registry().register(subject, definition);
    const config = await fetch(`${schemaRegistryUrl}/config/${subject}`);
    expect(await config.json()).toMatchObject({ compatibilityLevel: "BACKWARD" });
  });

  it("has no schema for an unknown id, and no latest schema for an unknown subject", async () => {
    await expect(registry().schema(2_000_000_000)).rejects.toMatchObject({ code: "SCHEMA_UNKNOWN", kind: "retryable" });
    expect(await registry().latest(uniqueName("nothing"))).toBeUndefined();
  });

  it("can tell a wrong path from an unknown schema", async () => {
    const { origin } = new URL(servers().schemaRegistryUrl);
    const wrong = createSchemaRegistry({ url: `${origin}/nowhere` });
    await expect(wrong.schema(1)).rejects.toMatchObject({ code: "REGISTRY_UNEXPECTED" });
    await expect(wrong.latest("any")).rejects.toMatchObject({ code: "REGISTRY_UNEXPECTED" });
  });
});
