import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load-config.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { serverNames } from "../../src/operations/connections.ts";
import { connectMongo } from "../../src/producers/mongodb/client.ts";
import { describeError, maskCredentials } from "../../src/runtime/logger.ts";
import { RegistryTransport } from "../../src/schemas/registry/transport.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

/** Pieces that no text of Headrace has, with what must be encoded, or is special in YAML, between them. */
const piece = fc.stringMatching(/^q[0-9]{1,3}z[0-9]{1,3}$/);
const separator = fc.stringMatching(/^[/@?#%:,;&=[\]{}\\ "'<>|^`~!$*+.-]{1,2}$/);
const password = fc
  .tuple(separator, piece, separator, piece, fc.constantFrom("", "/", "@", "%"))
  .map(([before, first, between, second, end]) => `${before}${first}${between}${second}${end}`);
const piecesOf = (text: string): readonly string[] => text.match(/q[0-9]+z[0-9]+/g) ?? [];

/** All that people see of a config: its mistakes, or the names of the servers, and what is said of a wrong address. */
async function seenOf(text: string): Promise<string> {
  try {
    const config = parseConfig(text, { file: "headrace.yaml", environment: {} });
    return [
      JSON.stringify(serverNames(config)),
      await driverErrors(config.mongodb.uri, config.schemaRegistry.url),
    ].join();
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    return JSON.stringify(describeError(error));
  }
}

async function driverErrors(uri: string, url: string): Promise<string> {
  // An option that the driver does not have, so that it refuses each address without a connection.
  const odd = `${uri}${uri.includes("?") ? "&" : uri.replace(/^.*?:\/\//, "").includes("/") ? "?" : "/?"}oddOption=1`;
  const mongo: unknown = await connectMongo({ uri: odd, database: "shop" }).catch((error: unknown) => error);
  expect(mongo).toMatchObject({ code: "MONGODB_URI_INVALID" });
  return JSON.stringify([describeError(mongo), new RegistryTransport({ url }).url]);
}

async function expectHidden(secret: string, text: string): Promise<void> {
  const seen = await seenOf(text);
  for (const each of piecesOf(secret)) expect(seen, text).not.toContain(each);
}

const AUTHORITIES: readonly ((secret: string) => string)[] = [
  (secret) => `user:${secret}@127.0.0.1:1/shop`,
  (secret) => `user:${secret}@127.0.0.1:1`,
  (secret) => `user:1${secret}@127.0.0.1:1/shop?a=b`,
  // With an "@", what follows would be a host like any other.
  (secret) => `user:${secret.replaceAll("@", "/")}`,
  (secret) => `:${secret}@h/`,
  (secret) => `us@er:1${secret}@127.0.0.1/shop`,
  (secret) => `127.0.0.1:1/shop?password=${secret}`,
];

describe("a password is never shown, however its address is written", () => {
  test("in mongodb.uri, schemaRegistry.url and postgres.url", async () => {
    const schemes = fc.constantFrom(
      "mongodb://",
      "mongodb+srv://",
      "http://",
      "https://",
      "postgres://",
      "mongo://",
      "",
    );
    await fc.assert(
      fc.asyncProperty(password, schemes, fc.constantFrom(...AUTHORITIES), async (secret, scheme, authority) => {
        const address = `${scheme}${authority(secret)}`;
        // Where no address belongs, only one that looks like an address can be told from other texts.
        const misplaced = /@|:\/\//.test(address) ? [{ mongodb: { uri: "mongodb://h", database: address } }] : [];
        for (const change of [
          { mongodb: { uri: address, database: "shop" } },
          { schemaRegistry: { url: address } },
          { postgres: { url: address } },
          { postgres: address },
          ...misplaced,
          { mongodb: { uri: "mongodb://h", database: "shop", [address]: null } },
        ])
          await expectHidden(secret, stringify({ ...MINIMAL_CONFIG, ...change }));
      }),
      { numRuns: 100 },
    );
  });

  test("in kafka.brokers and kafka.sasl", async () => {
    await fc.assert(
      fc.asyncProperty(password, async (secret) => {
        const broker = `user:${secret}@127.0.0.1:9092`;
        const login = { mechanism: "plain", username: "u" };
        for (const kafka of [
          { brokers: broker },
          { brokers: [broker] },
          { brokers: `h:9092,${broker}` },
          { brokers: broker.split(",") },
          broker,
          { brokers: "h:1", sasl: `user:${secret}` },
          { brokers: "h:1", sasl: { ...login, password: [secret] } },
          { brokers: "h:1", sasl: { ...login, password: "p", [`password:${secret}`]: null } },
        ])
          await expectHidden(secret, stringify({ ...MINIMAL_CONFIG, kafka }));
      }),
      { numRuns: 300 },
    );
  });

  test("in a file that is not well-formed YAML", async () => {
    const text = stringify({
      ...MINIMAL_CONFIG,
      kafka: { brokers: "h:1", sasl: { mechanism: "plain", username: "u" } },
    });
    await fc.assert(
      fc.asyncProperty(
        password,
        fc.constantFrom("", "!", "*", "&", "%", '"', "'", "[", "{", "|"),
        async (secret, sign) => {
          const line = text.replace("      username: u\n", `      username: u\n      password: ${sign}${secret}\n`);
          await expectHidden(secret, line);
        },
      ),
      { numRuns: 300 },
    );
  });
});

test("a password with an & that is not encoded is not shown as the name of an option", async () => {
  const uri = "mongodb://127.0.0.1:1/shop?password=+q0z0&}q1z1";
  await expectHidden("q0z0 q1z1", stringify({ ...MINIMAL_CONFIG, mongodb: { uri, database: "shop" } }));
});

test("addresses that must stay allowed", () => {
  for (const uri of [
    "mongodb://u:p%2Fss@a:1,b:2/db?replicaSet=r&tls=true",
    "mongodb+srv://u:p@c.example.com",
    "mongodb://[::1]:27017/",
  ])
    expect(() =>
      parseConfig(stringify({ ...MINIMAL_CONFIG, mongodb: { uri, database: "x" } }), { file: "", environment: {} }),
    ).not.toThrow();
  for (const url of [
    "postgres://u:p%40:[{!$&'()*+;=ü@h/d",
    "postgres:///d?host=/run/postgresql",
    "postgres://u@/d",
    "postgresql://%2Frun/d",
  ])
    expect(() =>
      parseConfig(stringify({ ...MINIMAL_CONFIG, postgres: { url } }), { file: "", environment: {} }),
    ).not.toThrow();
});

test("maskCredentials hides everything up to the last @ of an address", () => {
  expect(maskCredentials('{"msg":"mongodb://user:pa/ss@x@host/db refused, a@b"}')).toBe(
    '{"msg":"mongodb://***@host/db refused, a@b"}',
  );
});
