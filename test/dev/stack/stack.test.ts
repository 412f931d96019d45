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

test.each(["", "env"])("four given addresses are used and nothing is started (HEADRACE_STACK=%j)", async (choice) => {
  const stack = await startStack({ env: { ...addresses, HEADRACE_STACK: choice } });
  expect(stack).toMatchObject({ kind: "env", ...urls });
  await stack.stop();
});

test("HEADRACE_STACK=env names the addresses that are missing", async () => {
  const { KAFKA_BROKERS, POSTGRES_URL } = addresses;
  const start = startStack({ env: { KAFKA_BROKERS, POSTGRES_URL, MONGODB_URI: "", HEADRACE_STACK: "env" } });
  await expect(start).rejects.toThrow("set MONGODB_URI, SCHEMA_REGISTRY_URL too.");
});

test.each(["ENV", "podman"])("HEADRACE_STACK=%s is refused with what is allowed", async (choice) => {
  const start = startStack({ env: { ...addresses, HEADRACE_STACK: choice } });
  await expect(start).rejects.toThrow("use env, docker or local, or leave it unset");
});
