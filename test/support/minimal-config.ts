/** The least that a headrace.yaml says. */
export const MINIMAL_CONFIG = {
  name: "shop",
  mongodb: { uri: "mongodb://localhost:27017", database: "shop" },
  kafka: { brokers: "localhost:9092" },
  schemaRegistry: { url: "http://localhost:8081" },
  postgres: { url: "postgres://localhost/shop" },
};
