/** A headrace.yaml with only the required settings. */
export const MINIMAL_CONFIG = {
  name: "shop",
  mongodb: { uri: "mongodb://localhost:27017", database: "shop" },
  kafka: { brokers: "localhost:9092" },
  schemaRegistry: { url: "http://localhost:8081" },
  postgres: { url: "postgres://localhost/shop" },
};
