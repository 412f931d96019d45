import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load-config.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

function parse(change: object): unknown {
  return parseConfig(stringify({ ...MINIMAL_CONFIG, ...change }), { file: "headrace.yaml", environment: {} });
}

const mongodb = (uri: string) => ({ mongodb: { uri, database: "shop" } });
const kafka = (brokers: string | readonly string[]) => ({ kafka: { brokers } });
const schemaRegistry = (url: string) => ({ schemaRegistry: { url } });
const postgres = (url: string) => ({ postgres: { url } });

const PORT = "has a port that is not a number from 1 to 65535";

describe("a port that no server can have", () => {
  test.each([
    ["kafka.brokers[0]", kafka("h:65536"), PORT],
    ["kafka.brokers[1]", kafka("a:1, b:0"), PORT],
    ["kafka.brokers[0]", kafka(["h:99999"]), PORT],
    ["kafka.brokers[0]", kafka("h:123456"), PORT],
    ["kafka.brokers[0]", kafka("h:http"), PORT],
    ["kafka.brokers[0]", kafka("[::1]:70000"), PORT],
    ["kafka.brokers[0]", kafka("h"), "is not of the form host:port"],
    ["kafka.brokers[0]", kafka("::1:9092"), "is not of the form host:port"],
    ["mongodb.uri", mongodb("mongodb://h:65536"), PORT],
    ["mongodb.uri", mongodb("mongodb://h:0/shop"), PORT],
    ["mongodb.uri", mongodb("mongodb://u:p@a:1,b:99999/shop?replicaSet=r"), PORT],
    ["mongodb.uri", mongodb("mongodb://[::1]:x"), PORT],
    ["schemaRegistry.url", schemaRegistry("http://h:65536"), PORT],
    ["schemaRegistry.url", schemaRegistry("https://h:0/apis"), PORT],
    ["postgres.url", postgres("postgres://u:p@h:65536/d"), PORT],
    ["postgres.url", postgres("postgres://h:0/d"), PORT],
    ["postgres.url", postgres("postgres://h:five/d"), PORT],
    ["postgres.url", postgres("postgres://u@/d?host=/run/postgresql&port=65536"), PORT],
  ])("is refused: %s of %j", (path, change, complaint) => {
    expect(() => parse(change)).toThrow(new RegExp(`${path.replaceAll(/[.[\]]/g, "\\$&")}: .*${complaint}`));
  });

  test.each([
    ["-1", "http.port: -1 is not valid; expected a whole number from 0 to 65535"],
    ["65536", "http.port: 65536 is not valid; expected a whole number from 0 to 65535"],
  ])("is refused: http.port of %s", (port, message) => {
    expect(() => parse({ http: { port: Number(port) } })).toThrow(message);
  });
});

test.each([
  kafka("h:1,h:65535,[::1]:9092"),
  mongodb("mongodb://h"),
  mongodb("mongodb://a:27017,b,[fe80::1]:1/?replicaSet=r"),
  mongodb("mongodb+srv://u:p@c.example.com"),
  schemaRegistry("http://h"),
  schemaRegistry("https://h:65535"),
  postgres("postgres://h/d"),
  postgres("postgres://u@/d?host=/run/postgresql&port=5433"),
])("other addresses stay allowed: %j", (change) => {
  expect(() => parse(change)).not.toThrow();
});
