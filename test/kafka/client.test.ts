import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import kafkajs from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { createKafka, newKafka } from "../../src/kafka/client.ts";
import { kafkajsCluster, kafkajsRequest } from "../../src/kafka/wire/kafkajs-internals.ts";

const require = createRequire(import.meta.url);
const { requests } = require("kafkajs/src/protocol/requests/index.js") as {
  requests: Record<"Produce" | "Fetch", { protocol: unknown }>;
};
const { CompressionCodecs, CompressionTypes } = kafkajs;

/** What we replace of kafkajs. */
function replacedParts(): unknown[] {
  return [requests.Produce.protocol, requests.Fetch.protocol, CompressionCodecs[CompressionTypes.ZSTD]];
}

test("kafkajs is patched when the first client is created, and only then", async () => {
  const original = replacedParts();
  await import("../../src/producers/kafka/session.ts");
  await import("../../src/consumers/kafka/record-log.ts");
  await import("../../src/kafka/topic-reader.ts");
  expect(replacedParts()).toEqual(original);

  newKafka({ brokers: ["127.0.0.1:1"] });
  const patched = replacedParts();
  for (const [index, part] of patched.entries()) expect(part).not.toBe(original[index]);

  newKafka({ brokers: ["127.0.0.1:1"] });
  for (const [index, part] of replacedParts().entries()) expect(part).toBe(patched[index]);
});

test("another version of kafkajs is refused", () => {
  const kafka = newKafka({ brokers: ["127.0.0.1:1"] });
  const manifest = require("kafkajs/package.json") as { version: string };
  const { version } = manifest;
  onTestFinished(() => void (manifest.version = version));
  manifest.version = "2.3.0";
  const refusal = expect.objectContaining({ code: "KAFKA_CLIENT_UNKNOWN", kind: "fatal" }) as Error;
  expect(() => kafkajsRequest("Fetch")).toThrow(refusal);
  expect(() => kafkajsCluster(kafka)).toThrow(refusal);
});

test("a TLS file that cannot be read is named", async () => {
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const options = { clientId: "a", brokers: ["127.0.0.1:1"], ssl: { caFile: "/no/such/file" }, logger: quiet };
  await expect(createKafka(options)).rejects.toMatchObject({
    code: "TLS_FILE_UNREADABLE",
    message: expect.stringContaining("/no/such/file"),
  });
});

test.each([
  ["creates a client", /new Kafka\(/, "kafka/client.ts"],
  ["connects an admin client", /kafka\.admin\(/i, "kafka/admin.ts"],
])("one file of src/ %s", (_, call, file) => {
  const src = new URL("../../src/", import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  const withoutComments = (path: string) =>
    readFileSync(new URL(path, src), "utf8").replaceAll(/^\s*(\/\/|\/?\*).*$/gm, "");
  expect(files.filter((path) => call.test(withoutComments(path)))).toEqual([file]);
});
