import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { isCached } from "./cache.ts";
import { onFreePorts } from "./free-ports.ts";
import { downloadByMaven } from "./maven.ts";
import { reported } from "./reported.ts";
import type { LocalContext, LocalServer, StartServer } from "./stack-local.ts";
import { findJava, requireMaven } from "./tools.ts";

const version = "4.3.1";
const name = `Kafka ${version}`;

const download = {
  name,
  entry: `kafka-${version}`,
  sizeMegabytes: 54,
  goal: "copy-dependencies",
  dependencies: `
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
  `,
} as const;

/** Kafka as one KRaft node. */
export async function prepareKafka(cache: string, signal: AbortSignal): Promise<StartServer> {
  const java = await findJava(signal);
  if (!(await isCached(cache, download.entry))) await requireMaven(signal);
  return async (context) => {
    const libraries = await downloadByMaven(download, context);
    return await reported(context.report, [`${name}: starting`, `${name}: ready`], () =>
      onFreePorts(2, (ports) => startKafka(context, java, libraries, ports)),
    );
  };
}

async function startKafka(
  { supervisor, signal }: LocalContext,
  java: string,
  libraries: string,
  [brokerPort = 0, controllerPort = 0]: readonly number[],
): Promise<LocalServer> {
  const folder = join(supervisor.folder, `kafka-${brokerPort}`);
  const properties = join(folder, "server.properties");
  const log4j = join(folder, "log4j2.properties");
  await mkdir(folder);
  await writeFile(properties, serverProperties(folder, brokerPort, controllerPort));
  await writeFile(log4j, logging);
  const run = (name: string, heap: string, main: readonly string[]) => ({
    name,
    command: java,
    args: [heap, "-XX:+UseSerialGC", `-Dlog4j2.configurationFile=${log4j}`, "-cp", join(libraries, "*"), ...main],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  });
  const clusterId = Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex").toString("base64url");
  // One argument: the id may begin with a dash, which would be read as an option.
  const format = ["kafka.tools.StorageTool", "format", `--cluster-id=${clusterId}`, "-c", properties];
  await supervisor.run(run("Kafka's StorageTool", "-Xmx128m", format), signal);

  const broker = `127.0.0.1:${brokerPort}`;
  const server = run("Kafka", "-Xmx1g", ["kafka.Kafka", properties]);
  const restart = await supervisor.serve(server, signal, () => answers(broker));
  return { url: broker, restart };
}

function serverProperties(folder: string, brokerPort: number, controllerPort: number): string {
  const mebibyte = 1024 * 1024;
  return Object.entries({
    "node.id": 1,
    "process.roles": "broker,controller",
    listeners: `BROKER://127.0.0.1:${brokerPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `BROKER://127.0.0.1:${brokerPort}`,
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "log.dirs": join(folder, "data"),
    "auto.create.topics.enable": false,
    // One node holds everything; few partitions of the internal topics make the first use quick.
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    // A document of 16 MB fits.
    "message.max.bytes": 20 * mebibyte,
    "replica.fetch.max.bytes": 20 * mebibyte,
    // Tests kill clients: a short wait for the group, sessions as short as they like, hanging transactions seen soon.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 16 * mebibyte,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

const logging = `rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=Console
appender.console.type=Console
appender.console.name=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n
`;

async function answers(broker: string): Promise<void> {
  const admin = new Kafka({
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    requestTimeout: 2000,
    retry: { retries: 0 },
  }).admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    if (brokers.length === 0) throw new Error("The broker is still fenced.");
  } finally {
    await admin.disconnect();
  }
}
