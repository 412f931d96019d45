import { expect, test } from "vitest";
import { startStack } from "../../../dev/stack/stack.ts";

const addresses = {
  MONGODB_URI: "mongodb://127.0.0.1:1/?replicaSet=a",
  KAFKA_BROKERS: "127.0.0.1:2",
  SCHEMA_REGISTRY_URL: "http://127.0.0.1:3",
  POSTGRES_URL: "postgres://a:b@127.0.0.1:4/postgres",
};
const urls = {
  mongodbUri: addresses.MONGODB_URI,
  kafkaBrokers: addresses.KAFKA_BROKERS,
  schemaRegistryUrl: addresses.SCHEMA_REGISTRY_URL,
  postgresUrl: addresses.POSTGRES_URL,
};

test.each(["", "env"])("uses four given addresses and starts nothing (HEADRACE_STACK=%j)", async (choice) => {
  const stack = await startStack({ env: { ...addresses, HEADRACE_STACK: choice } });
  expect(stack).toMatchObject({ kind: "env", ...urls });
  await stack.stop();
});

test("HEADRACE_STACK=env names the missing addresses", async () => {
  const { KAFKA_BROKERS, POSTGRES_URL } = addresses;
  const start = startStack({ env: { KAFKA_BROKERS, POSTGRES_URL, MONGODB_URI: "", HEADRACE_STACK: "env" } });
  await expect(start).rejects.toThrow("set MONGODB_URI, SCHEMA_REGISTRY_URL too.");
});

test.each(["ENV", "podman"])("refuses HEADRACE_STACK=%s and lists the allowed values", async (choice) => {
  const start = startStack({ env: { ...addresses, HEADRACE_STACK: choice } });
  await expect(start).rejects.toThrow("use env, docker or local, or leave it unset");
});
