import { REGISTRY_PATH } from "../../dev/stack/server-settings.ts";
import type { ServerUrls } from "../../dev/stack/server-urls.ts";

/** Settings of a connector, as Kafka Connect's REST API takes them. */
export type ConnectorSettings = Readonly<Record<string, string>>;

/** What the connectors read and write. */
export interface Route {
  readonly urls: ServerUrls;
  /** Of the topics and of the target's schema. */
  readonly name: string;
  readonly database: string;
  readonly collection: string;
}

/** What is set otherwise for throughput than for latency. The values were found by trying. */
export interface Tuning {
  readonly lingerMs: number;
  readonly fetchMinBytes: number;
  readonly fetchMaxWaitMs: number;
  /** Records per batch of the sink, and per poll. */
  readonly sinkRecords: number;
}

/** Best for the copy of a large collection. */
export const FOR_COPIES: Tuning = { lingerMs: 50, fetchMinBytes: 1_048_576, fetchMaxWaitMs: 300, sinkRecords: 5_000 };
/** Best for changes. */
export const FOR_CHANGES: Tuning = { lingerMs: 5, fetchMinBytes: 1, fetchMaxWaitMs: 500, sinkRecords: 2_000 };

const SINK_TASKS = 2;

/** MongoDB's connector drops every field that its schema does not name. */
const VALUE_SCHEMA = {
  type: "record",
  name: "product",
  fields: [
    { name: "_id", type: "string" },
    ...Object.entries({
      sku: "string",
      title: "string",
      description: "string",
      price: "string",
      stock: "int",
      rating: "double",
      active: "boolean",
      categoryId: "string",
      sellerId: "long",
      tags: { type: "array", items: "string" },
      dims: { type: "record", name: "dims", fields: ["w", "h", "d"].map((name) => ({ name, type: "double" })) },
      createdAt: { type: "long", logicalType: "timestamp-millis" },
      updatedAt: { type: "long", logicalType: "timestamp-millis" },
    }).map(([name, type]) => ({ name, type: ["null", type], default: null })),
  ],
};

const KEY_SCHEMA = {
  type: "record",
  name: "key",
  fields: [
    {
      name: "documentKey",
      type: { type: "record", name: "documentKey", fields: [{ name: "_id", type: "string" }] },
    },
  ],
};

/** The topic that connects the two. */
export function peerTopic({ name, database, collection }: Route): string {
  return `${name}.${database}.${collection}`;
}

/** MongoDB's source: first a copy, then the change stream. A key is `{_id}`, subdocuments are flattened. */
export function sourceSettings(route: Route, { lingerMs }: Tuning): ConnectorSettings {
  return {
    "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
    "tasks.max": "1",
    "connection.uri": route.urls.mongodbUri,
    "topic.prefix": route.name,
    database: route.database,
    collection: route.collection,
    "startup.mode": "copy_existing",
    "startup.mode.copy.existing.max.threads": "1",
    "startup.mode.copy.existing.queue.size": "32768",
    "publish.full.document.only": "true",
    "publish.full.document.only.tombstone.on.delete": "true",
    "change.stream.full.document": "updateLookup",
    "output.format.key": "schema",
    "output.schema.key": JSON.stringify(KEY_SCHEMA),
    "output.format.value": "schema",
    "output.schema.value": JSON.stringify(VALUE_SCHEMA),
    "output.json.formatter": "com.mongodb.kafka.connect.source.json.formatter.SimplifiedJson",
    "poll.max.batch.size": "8192",
    "poll.await.time.ms": "50",
    "batch.size": "5000",
    "producer.override.linger.ms": String(lingerMs),
    "producer.override.batch.size": "262144",
    "producer.override.buffer.memory": "134217728",
    "producer.override.max.request.size": "16777216",
    "producer.override.compression.type": "lz4",
    transforms: "key,flat",
    "transforms.key.type": "org.apache.kafka.connect.transforms.ExtractField$Key",
    "transforms.key.field": "documentKey",
    "transforms.flat.type": "org.apache.kafka.connect.transforms.Flatten$Value",
    "transforms.flat.delimiter": "_",
    ...avroConverters(route.urls),
  };
}

/** Debezium's sink: upserts and deletes by key. It creates the table. */
export function sinkSettings(route: Route, { fetchMinBytes, fetchMaxWaitMs, sinkRecords }: Tuning): ConnectorSettings {
  const { host, pathname, username, password } = new URL(route.urls.postgresUrl);
  return {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
    "tasks.max": String(SINK_TASKS),
    topics: peerTopic(route),
    "connection.url": `jdbc:postgresql://${host}${pathname}?reWriteBatchedInserts=true`,
    "connection.username": decodeURIComponent(username),
    "connection.password": decodeURIComponent(password),
    "connection.pool.min_size": "1",
    "connection.pool.max_size": "4",
    "insert.mode": "upsert",
    "primary.key.mode": "record_key",
    "delete.enabled": "true",
    "schema.evolution": "basic",
    "collection.name.format": `${route.name}.${route.collection}`,
    // Without it, two changes of one key in a rewritten batch fail the task.
    "use.reduction.buffer": "true",
    "batch.size": String(sinkRecords),
    "consumer.override.max.poll.records": String(sinkRecords),
    "consumer.override.fetch.min.bytes": String(fetchMinBytes),
    "consumer.override.fetch.max.wait.ms": String(fetchMaxWaitMs),
    "consumer.override.max.partition.fetch.bytes": "8388608",
    "consumer.override.auto.offset.reset": "earliest",
    ...avroConverters(route.urls),
  };
}

/** Avro by Apicurio's own API, in Confluent's format. */
function avroConverters({ schemaRegistryUrl }: ServerUrls): ConnectorSettings {
  const registry = "converter.apicurio.registry";
  const settings = {
    converter: "io.apicurio.registry.utils.converter.AvroConverter",
    [`${registry}.url`]: schemaRegistryUrl.replace(REGISTRY_PATH, "/apis/registry/v2"),
    [`${registry}.auto-register`]: "true",
    [`${registry}.auto-register.if-exists`]: "RETURN_OR_UPDATE",
    [`${registry}.as-confluent`]: "true",
    [`${registry}.use-id`]: "contentId",
    [`${registry}.headers.enabled`]: "false",
    [`${registry}.check-period-ms`]: "3600000",
  };
  return Object.fromEntries(
    ["key", "value"].flatMap((part) => Object.entries(settings).map(([key, value]) => [`${part}.${key}`, value])),
  );
}
