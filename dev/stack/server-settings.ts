// The settings of the servers, the same for local processes and for containers.

export interface MongodbSettings {
  /** More than one allows elections. */
  readonly members: number;
  readonly oplogSizeMb: number;
  /** Time between two checkpoints. Only oplog entries that are older than the last checkpoint can be removed. */
  readonly syncSeconds: number;
  /** Per member. */
  readonly cacheSizeGb: number;
}

export const ONE_MEMBER: MongodbSettings = { members: 1, oplogSizeMb: 2048, syncSeconds: 60, cacheSizeGb: 0.5 };
/** Small enough to run beside the tests. */
export const THREE_MEMBERS: MongodbSettings = { ...ONE_MEMBER, members: 3, oplogSizeMb: 990, cacheSizeGb: 0.25 };

export const REPLICA_SET = "headrace";

/** The command line of a member, without its address and its data folder. */
export function mongodArguments({ oplogSizeMb, syncSeconds, cacheSizeGb }: MongodbSettings): string[] {
  return [
    `--replSet=${REPLICA_SET}`,
    "--nounixsocket",
    `--oplogSize=${oplogSizeMb}`,
    `--syncdelay=${syncSeconds}`,
    `--wiredTigerCacheSizeGB=${cacheSizeGb}`,
    // For tests: failCommand and other fail points.
    "--setParameter=enableTestCommands=1",
    "--setParameter=diagnosticDataCollectionEnabled=false",
  ];
}

const mebibyte = 1024 * 1024;

/**
 * Kafka's properties as one KRaft node that is broker and controller. Clients and the node itself reach the broker at
 * 127.0.0.1; `bind` is the address that it listens on.
 */
export function kafkaProperties(place: {
  readonly bind: string;
  readonly brokerPort: number;
  readonly controllerPort: number;
  readonly data: string;
}): Record<string, string | number | boolean> {
  const { bind, brokerPort, controllerPort, data } = place;
  return {
    "node.id": 1,
    "process.roles": "broker,controller",
    listeners: `BROKER://${bind}:${brokerPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `BROKER://127.0.0.1:${brokerPort}`,
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "log.dirs": data,
    "auto.create.topics.enable": false,
    // One node holds everything. Few partitions of the internal topics make their first use quick.
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
    // Tests kill clients: no delay for a new group, short sessions, quick aborts of hanging transactions.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 16 * mebibyte,
  };
}

/** Options of the JVMs. */
export const KAFKA_HEAP = "-Xmx1g";
export const REGISTRY_JVM = ["-Xmx512m", "-XX:TieredStopAtLevel=1"];

/** The path of Confluent's API in Apicurio Registry. */
export const REGISTRY_PATH = "/apis/ccompat/v7";

/** Options of initdb. They give the same encoding and sort order on every machine. */
export const POSTGRES_INITDB = [
  "--encoding=UTF8",
  "--locale=C",
  "--locale-provider=builtin",
  "--builtin-locale=C.UTF-8",
  "--no-sync",
  "--no-instructions",
];

export const POSTGRES_SETTINGS = ["max_connections=200"];
