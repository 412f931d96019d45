// A separate Kafka for one test file, with settings of its own.
import type { KafkaConfig } from "kafkajs";
import { afterAll, beforeAll } from "vitest";
import { freePorts } from "../../dev/stack/free-ports.ts";
import { cacheFolder } from "../../dev/stack/local/cache.ts";
import { newClusterId, prepareOwnKafka } from "../../dev/stack/local/kafka.ts";
import type { OwnKafka } from "../../dev/stack/local/kafka.ts";
import { Supervisor } from "../../dev/stack/local/supervisor.ts";

/** Call it at the top of a test file. @returns its address once the tests run */
function useOwnKafka(own: OwnKafka): () => string {
  let broker = "";
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await Supervisor.start(() => {});
    const { signal } = new AbortController();
    const context = { supervisor, cache: cacheFolder(process.env), signal, report: () => {} };
    const start = await prepareOwnKafka(context.cache, signal, own);
    broker = (await start(context)).url;
  });
  afterAll(() => supervisor?.stop());
  return () => broker;
}

/** Three brokers; the first one is the controller, too. */
export interface KafkaCluster {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** Ends the last broker, as a crash does. */
  crashLast(): Promise<void>;
}

/** Call it at the top of a test file. */
export function useKafkaCluster(): KafkaCluster {
  const supervisors: Supervisor[] = [];
  const brokers: string[] = [];
  beforeAll(async () => {
    const clusterId = newClusterId();
    const [controller = 0, ...ports] = await freePorts(6);
    const start = async (node: number): Promise<void> => {
      const port = ports[node] ?? 0;
      const supervisor = await Supervisor.start(() => {});
      supervisors[node] = supervisor;
      const isController = node === 0;
      const { signal } = new AbortController();
      const context = { supervisor, cache: cacheFolder(process.env), signal, report: () => {} };
      const properties = {
        "node.id": String(node + 1),
        "controller.quorum.voters": `1@127.0.0.1:${controller}`,
        ...(isController ? {} : { "process.roles": "broker", listeners: `BROKER://127.0.0.1:${port}` }),
        "offsets.topic.replication.factor": "3",
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
      };
      const prepared = await prepareOwnKafka(context.cache, signal, {
        properties,
        clusterId,
        ports: [port, controller],
      });
      brokers[node] = (await prepared(context)).url;
    };
    await start(0);
    await Promise.all([start(1), start(2)]);
  });
  afterAll(() => Promise.all(supervisors.map((each) => each.stop())));
  return { brokers, crashLast: async () => supervisors.at(-1)?.stop() };
}

/** A Kafka with the standard authorizer, where users have no rights but those that the test gives them. */
export interface SecuredKafka {
  readonly brokers: readonly string[];
  readonly admin: KafkaConfig & { readonly sasl: KafkaUser & { readonly mechanism: "plain" } };
  /** A user that no test of the file has had. */
  freshUser(): KafkaUser;
}

export interface KafkaUser {
  readonly username: string;
  readonly password: string;
}

const ADMIN: KafkaUser = { username: "admin", password: "admin-secret" };
const USERS: readonly KafkaUser[] = Array.from({ length: 40 }, (_, index) => ({
  username: `user${index}`,
  password: "secret",
}));

/** Call it at the top of a test file. */
export function useSecuredKafka(): SecuredKafka {
  const logins = [ADMIN, ...USERS].map(({ username, password }) => `user_${username}="${password}"`).join(" ");
  const sasl = { mechanism: "plain" as const, ...ADMIN };
  const broker = useOwnKafka({
    sasl,
    properties: {
      "listener.security.protocol.map": "BROKER:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
      "sasl.enabled.mechanisms": "PLAIN",
      "sasl.mechanism.inter.broker.protocol": "PLAIN",
      "listener.name.broker.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required username="${ADMIN.username}" password="${ADMIN.password}" ${logins};`,
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": `User:${ADMIN.username};User:ANONYMOUS`,
    },
  });
  let users = 0;
  return {
    get brokers() {
      return [broker()];
    },
    get admin() {
      return { brokers: [broker()], sasl };
    },
    freshUser() {
      const user = USERS[users++];
      if (user === undefined) throw new Error("the broker knows no more users");
      return user;
    },
  };
}
