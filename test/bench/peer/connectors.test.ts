import { expect, test } from "vitest";
import { FOR_CHANGES, FOR_COPIES, peerTopic, sinkSettings, sourceSettings } from "../../../bench/peer/connectors.ts";
import { product } from "../../../bench/product.ts";

const route = {
  urls: {
    mongodbUri: "mongodb://127.0.0.1:27017/?replicaSet=rs",
    kafkaBrokers: "127.0.0.1:9092",
    schemaRegistryUrl: "http://127.0.0.1:8080/apis/ccompat/v7",
    postgresUrl: "postgres://some%40user:p%2Fq@127.0.0.1:5432/target",
  },
  name: "run1",
  database: "shop",
  collection: "products",
};

test("the source's schema has every field of the document, because it drops all others", () => {
  const schema = JSON.parse(sourceSettings(route, FOR_COPIES)["output.schema.value"] ?? "") as {
    fields: { name: string }[];
  };
  expect(schema.fields.map(({ name }) => name)).toEqual(Object.keys(product(1)));
});

test("the sink reads the source's topic and writes to the run's schema", () => {
  expect(sourceSettings(route, FOR_COPIES)).toMatchObject({
    "topic.prefix": "run1",
    database: "shop",
    collection: "products",
  });
  expect(peerTopic(route)).toBe("run1.shop.products");
  expect(sinkSettings(route, FOR_COPIES)).toMatchObject({
    topics: "run1.shop.products",
    "collection.name.format": "run1.products",
    "connection.url": "jdbc:postgresql://127.0.0.1:5432/target?reWriteBatchedInserts=true",
    "connection.username": "some@user",
    "connection.password": "p/q",
  });
});

test("both use Avro through the registry's own API", () => {
  for (const settings of [sourceSettings(route, FOR_COPIES), sinkSettings(route, FOR_COPIES)]) {
    expect(settings["value.converter.apicurio.registry.url"]).toBe("http://127.0.0.1:8080/apis/registry/v2");
    expect(settings["key.converter"]).toBe(settings["value.converter"]);
  }
});

test("changes are not held back, copies are batched", () => {
  expect(sinkSettings(route, FOR_CHANGES)["consumer.override.fetch.min.bytes"]).toBe("1");
  expect(sinkSettings(route, FOR_COPIES)).toMatchObject({
    "consumer.override.fetch.min.bytes": "1048576",
    "batch.size": "5000",
    "consumer.override.max.poll.records": "5000",
  });
  expect(sourceSettings(route, FOR_COPIES)["producer.override.linger.ms"]).toBe("50");
});
