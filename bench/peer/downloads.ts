import { kafkaLibraries } from "../../dev/stack/local/kafka.ts";
import { downloadByMaven } from "../../dev/stack/local/maven.ts";
import type { MavenContext, MavenDownload } from "../../dev/stack/local/maven.ts";
import { REGISTRY_VERSION } from "../../dev/stack/local/registry.ts";

/** Of what the peer consists of, besides Kafka Connect, which is in Kafka's jars. */
export const PEER_VERSIONS = {
  mongodbConnector: "2.0.1",
  debeziumJdbc: "3.6.0.Final",
  hibernate: "7.2.19.Final",
  postgresDriver: "42.7.11",
  avroConverter: REGISTRY_VERSION,
} as const;

const { mongodbConnector, debeziumJdbc, hibernate, postgresDriver, avroConverter } = PEER_VERSIONS;

/** The worker has these already. A plugin's own copy would hide them. */
const EXCLUDED_GROUPS = "-DexcludeGroupIds=org.apache.kafka,org.slf4j";

const source: MavenDownload = {
  name: `MongoDB's Kafka connector ${mongodbConnector}`,
  entry: `connect-mongodb-${mongodbConnector}`,
  sizeMegabytes: 18,
  goal: "copy-dependencies",
  options: [EXCLUDED_GROUPS],
  dependencies: dependency("org.mongodb.kafka", "mongo-kafka-connect", mongodbConnector),
};

const sink: MavenDownload = {
  name: `Debezium's JDBC sink ${debeziumJdbc}`,
  entry: `connect-debezium-jdbc-${debeziumJdbc}`,
  sizeMegabytes: 51,
  goal: "copy-dependencies",
  // With a Jackson of its own, Hibernate fails at the worker's jackson-module-blackbird.
  options: [EXCLUDED_GROUPS, "-DexcludeArtifactIds=jackson-core,jackson-databind,jackson-annotations"],
  // It asks for a hibernate-agroal that has moved to another group, and whose jar is not in every mirror of Maven Central.
  managed: dependency("org.hibernate.orm", "hibernate-core", hibernate),
  dependencies: [
    dependency(
      "io.debezium",
      "debezium-connector-jdbc",
      debeziumJdbc,
      "<exclusions><exclusion><groupId>org.hibernate</groupId><artifactId>hibernate-agroal</artifactId></exclusion></exclusions>",
    ),
    dependency("org.hibernate.orm", "hibernate-agroal", hibernate),
    dependency("org.postgresql", "postgresql", postgresDriver),
  ].join(""),
};

const converter: MavenDownload = {
  name: `Apicurio's Avro converter ${avroConverter}`,
  entry: `connect-avro-${avroConverter}`,
  sizeMegabytes: 17,
  goal: "copy-dependencies",
  options: [EXCLUDED_GROUPS],
  dependencies:
    dependency("io.apicurio", "apicurio-registry-utils-converter", avroConverter) +
    dependency("io.apicurio", "apicurio-registry-serdes-avro-serde", avroConverter),
};

function dependency(group: string, artifact: string, version: string, more = ""): string {
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${more}</dependency>`;
}

/** Folders of jars. */
export interface ConnectPrograms {
  /** Kafka's, with Kafka Connect. */
  readonly libraries: string;
  /** One folder for each plugin. */
  readonly plugins: readonly string[];
}

/** Kafka Connect and the plugins. Downloads what is not in the cache. */
export async function connectPrograms(context: MavenContext): Promise<ConnectPrograms> {
  const libraries = await kafkaLibraries(context);
  const plugins: string[] = [];
  for (const plugin of [source, sink, converter]) plugins.push(await downloadByMaven(plugin, context));
  return { libraries, plugins };
}
