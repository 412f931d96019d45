import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshPipeline } from "../../support/pipeline.ts";
import { servers } from "../../support/servers.ts";
import { startTlsProxy } from "../../support/tls-proxy.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-tls-"));
  await writeFile(join(folder, "bad.pem"), "no PEM\n");
});

afterAll(() => rm(folder, { recursive: true }));

type Section = Readonly<Record<string, unknown>>;

/** The line of the problem, and the next one with its remedy, that `headrace check` prints for a server. */
async function problemOf(
  config: Record<string, Section>,
): Promise<{ readonly problem: string; readonly remedy: string }> {
  const pipeline = await freshPipeline(config);
  const { exitCode, stdout, stderr } = await pipeline.run("check");
  expect(exitCode, stdout + stderr).toBe(1);
  expect(stdout + stderr).not.toContain("hunter2");
  const lines = stdout.split("\n");
  const first = lines.findIndex((line) => line.startsWith("  ✗"));
  return { problem: lines[first + 1]?.trim() ?? "", remedy: lines[first + 2]?.trim() ?? "" };
}

const withOption = (url: string, option: string): string => `${url}${url.includes("?") ? "&" : "?"}${option}`;
const mongodb = (option: string) => () => ({ mongodb: { uri: withOption(servers().mongodbUri, option) } });
const postgres = (option: string) => () => ({ postgres: { url: withOption(servers().postgresUrl, option) } });
const login = (url: string) => url.replace(/:\/\/(?:[^@]*@)?/, "://nobody:hunter2@");
const registryHost = () => new URL(servers().schemaRegistryUrl).host;
const ssl = (setting: string, file: string) => () => ({ kafka: { ssl: { [setting]: join(folder, file) } } });

const CASES: readonly (readonly [
  string,
  () => Record<string, Section> | Promise<Record<string, Section>>,
  RegExp,
  RegExp,
])[] = [
  [
    "mongodb.uri: TLS, but the server has none",
    mongodb("tls=true"),
    /^MONGODB_TLS_FAILED: .*speak TLS/,
    /mongodb\.uri/,
  ],
  [
    "mongodb.uri: the certificate is not trusted",
    async () => {
      const proxy = await startTlsProxy(new URL(servers().mongodbUri).host);
      return { mongodb: { uri: `mongodb://${proxy}/?directConnection=true&tls=true` } };
    },
    /^MONGODB_TLS_FAILED: .*signed by itself/,
    /tlsCAFile/,
  ],
  [
    "mongodb.uri: a missing file",
    mongodb("tls=true&tlsCAFile=/nowhere/ca.pem"),
    /^TLS_FILE_UNREADABLE: The file \/nowhere\/ca.pem in mongodb\.uri cannot be read \(ENOENT\)\.$/,
    /path/,
  ],
  [
    "mongodb.uri: an unknown option",
    mongodb("nosuch=1"),
    /^MONGODB_URI_INVALID: .*option nosuch is not supported/,
    /mongodb\.uri/,
  ],
  [
    "mongodb.uri: a wrong password",
    () => ({ mongodb: { uri: login(servers().mongodbUri) } }),
    /^MONGODB_LOGIN_FAILED/,
    /mongodb\.uri/,
  ],
  [
    "kafka.ssl: the server has no TLS",
    () => ({ kafka: { ssl: true } }),
    /^KAFKA_TLS_FAILED: .*speak TLS/,
    /kafka\.ssl/,
  ],
  [
    "kafka.ssl: the certificate is not trusted",
    async () => ({ kafka: { ssl: true, brokers: await startTlsProxy(servers().kafkaBrokers) } }),
    /^KAFKA_TLS_FAILED: .*signed by itself/,
    /caFile/,
  ],
  [
    "kafka.ssl.caFile: a missing file",
    ssl("caFile", "none.pem"),
    /^TLS_FILE_UNREADABLE: .*none\.pem of kafka\.ssl\.caFile/,
    /path/,
  ],
  [
    "kafka.ssl.caFile: no PEM",
    ssl("caFile", "bad.pem"),
    /^TLS_FILE_UNREADABLE: .*bad\.pem of kafka\.ssl\.caFile is not PEM/,
    /PEM/,
  ],
  [
    "kafka.sasl: a login that the broker does not take",
    () => ({ kafka: { sasl: { mechanism: "plain", username: "nobody", password: "hunter2" } } }),
    /^KAFKA_LOGIN_FAILED/,
    /kafka\.sasl/,
  ],
  [
    "schemaRegistry.url: https, but the server has no TLS",
    () => ({ schemaRegistry: { url: servers().schemaRegistryUrl.replace("http:", "https:") } }),
    /^REGISTRY_TLS_FAILED: .*does not speak TLS/,
    /schemaRegistry\.url/,
  ],
  [
    "schemaRegistry.url: the certificate is not trusted",
    async () => ({ schemaRegistry: { url: `https://${await startTlsProxy(registryHost())}/apis/ccompat/v7` } }),
    /^REGISTRY_TLS_FAILED: .*signed by itself/,
    /NODE_EXTRA_CA_CERTS/,
  ],
  [
    "postgres.url: TLS, but the server has none",
    postgres("sslmode=verify-full"),
    /^POSTGRES_CONNECT_FAILED: .*SSL/,
    /postgres\.url/,
  ],
  [
    "postgres.url: a missing file",
    postgres("sslmode=verify-full&sslrootcert=/nowhere/ca.pem"),
    /^TLS_FILE_UNREADABLE: The file \/nowhere\/ca.pem in postgres\.url cannot be read \(ENOENT\)\.$/,
    /path/,
  ],
  [
    "postgres.url: a wrong password",
    () => ({ postgres: { url: login(servers().postgresUrl) } }),
    /^POSTGRES_LOGIN_REFUSED/,
    /postgres\.url/,
  ],
];

describe("headrace check names the setting of", () => {
  test.each(CASES)("%s", async (_, config, problem, remedy) => {
    const found = await problemOf(await config());
    expect(found).toEqual({ problem: expect.stringMatching(problem), remedy: expect.stringMatching(remedy) });
    expect(found.remedy).not.toMatch(/reach/);
  });
});

test.each([
  ["mongodb", { uri: "mongodb://user:hun/ter2@127.0.0.1/shop", database: "shop" }],
  ["postgres", { url: "postgres://user:1/hunter2@127.0.0.1/shop" }],
  ["schemaRegistry", { url: "http://user:hun/ter2@127.0.0.1:8081" }],
  ["kafka", { brokers: "user:hunter2@127.0.0.1:9092" }],
])(
  "a password that is not percent-encoded is a mistake of the config, and is not shown: %s",
  async (section, value) => {
    const pipeline = await freshPipeline({ [section]: value });
    const { exitCode, stdout, stderr } = await pipeline.run("check");
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(section === "kafka" ? /kafka\.brokers\[0\]: .*kafka\.sasl/ : /the value .*percent-encoded/);
    expect(stderr).not.toMatch(/hun|ter2/);
  },
);
