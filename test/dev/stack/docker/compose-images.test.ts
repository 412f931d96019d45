import { expect, test } from "vitest";
import { stringify } from "yaml";
import { composeImages, imagesIn } from "../../../../dev/stack/docker/compose-images.ts";

const services = {
  mongodb: { image: "mongo:8.0" },
  kafka: { image: "apache/kafka:4.1.0" },
  "schema-registry": { image: "apicurio/apicurio-registry-mem:2.6.13.Final" },
  postgres: { image: "postgres:18" },
};

test("reads each server's image from its service", () => {
  expect(imagesIn(stringify({ services: { ...services, producer: { build: "." } } }))).toEqual({
    mongodbUri: "mongo:8.0",
    kafkaBrokers: "apache/kafka:4.1.0",
    schemaRegistryUrl: "apicurio/apicurio-registry-mem:2.6.13.Final",
    postgresUrl: "postgres:18",
  });
});

test("the error names all services that are missing or have no image", () => {
  const { mongodb, postgres } = services;
  const file = stringify({ services: { mongodb, kafka: { build: "." }, postgres } });
  expect(() => imagesIn(file)).toThrow("docker-compose.yml has no image for kafka, schema-registry");
  expect(() => imagesIn("")).toThrow("mongodb, kafka, schema-registry, postgres");
});

test("docker-compose.yml has an image with a version for each server", async () => {
  for (const image of Object.values(await composeImages())) expect(image).toMatch(/^[^:]+:[^:]*\d/);
});
