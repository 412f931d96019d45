import { expect, test } from "vitest";
import { stringify } from "yaml";
import { composeImages, imagesIn } from "../../../../dev/stack/docker/compose-images.ts";

const services = {
  mongodb: { image: "mongo:8.0" },
  kafka: { image: "apache/kafka:4.1.0" },
  "schema-registry": { image: "apicurio/apicurio-registry-mem:2.6.13.Final" },
  postgres: { image: "postgres:18" },
};

test("the servers' images are those of their services", () => {
  expect(imagesIn(stringify({ services: { ...services, producer: { build: "." } } }))).toEqual({
    mongodbUri: "mongo:8.0",
    kafkaBrokers: "apache/kafka:4.1.0",
    schemaRegistryUrl: "apicurio/apicurio-registry-mem:2.6.13.Final",
    postgresUrl: "postgres:18",
  });
});

test("services that are missing or have no image are all named", () => {
  const { mongodb, postgres } = services;
  const file = stringify({ services: { mongodb, kafka: { build: "." }, postgres } });
  expect(() => imagesIn(file)).toThrow("docker-compose.yml names no image for kafka, schema-registry");
  expect(() => imagesIn("")).toThrow("mongodb, kafka, schema-registry, postgres");
});

test("the project's own docker-compose.yml names each server's image, with a version", async () => {
  for (const image of Object.values(await composeImages())) expect(image).toMatch(/^[^:]+:[^:]*\d/);
});
