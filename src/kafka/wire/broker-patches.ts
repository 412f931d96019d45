import kafkajs from "kafkajs";
import { kafkajsModule } from "./kafkajs-internals.ts";

// Node finds only some of kafkajs's exports by name.
const { KafkaJSConnectionError, KafkaJSProtocolError } = kafkajs;
// Its types lack the message.
const BrokerNotFound = kafkajs.KafkaJSBrokerNotFound as unknown as new (message: string) => Error;

/** What we use of kafkajs's `Broker` (its `src/broker/index.js`). */
interface Broker {
  readonly brokerAddress: string;
  /** Finds how a request is encoded; throws until the broker has told its versions. */
  readonly lookupRequest: unknown;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  initProducerId(request: object): Promise<unknown>;
  addPartitionsToTxn(request: object): Promise<unknown>;
  endTxn(request: object): Promise<unknown>;
}

/** What we use of kafkajs's `BrokerPool` (its `src/cluster/brokerPool.js`). */
interface BrokerPool {
  readonly brokers: Readonly<Record<string, Broker>>;
  findBroker(options: { readonly nodeId: string }): Promise<Broker>;
  findConnectedBroker(): Promise<Broker>;
  withBroker<T>(use: (options: { readonly nodeId: string; readonly broker: Broker }) => Promise<T>): Promise<T>;
}

/** What we use of kafkajs's `Cluster` (its `src/cluster/index.js`). */
interface Cluster {
  readonly brokerPool: BrokerPool;
  findControllerBroker(): Promise<Broker>;
  findGroupCoordinator(options: CoordinatorOf): Promise<Broker>;
}

interface CoordinatorOf {
  /** Or a transactional id. */
  readonly groupId: string;
  readonly coordinatorType?: number;
}

/** What we use of kafkajs's `SASLAuthenticator` (its `src/broker/saslAuthenticator/index.js`), which is made for one login. */
interface Authenticator {
  connection: LoginConnection;
  authenticate(): Promise<void>;
}

interface LoginConnection {
  readonly host: string;
  readonly port: number;
  readonly sasl: object;
  send(request: object): Promise<unknown>;
  sendAuthRequest(request: object): Promise<unknown>;
}

/**
 * Mends what kafkajs 2.2.4 does with brokers that do not answer, and how often it asks for the coordinator of a
 * transaction, for all clients of the process.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function patchBrokers(): void {
  const broker = kafkajsModule("src/broker/index.js") as new (options: object) => Broker;
  requireAnswers(broker.prototype as Broker, notConnectedLookup(broker));
  const cluster = kafkajsModule("src/cluster/index.js") as { readonly prototype: Cluster };
  rememberCoordinators(cluster.prototype, broker.prototype as Broker);
  passOverLostController(cluster.prototype);
  const authenticator = kafkajsModule("src/broker/saslAuthenticator/index.js") as { readonly prototype: Authenticator };
  tellOutagesFromRefusals(authenticator.prototype);
  const pool = kafkajsModule("src/cluster/brokerPool.js") as new (options: object) => BrokerPool;
  (pool.prototype as BrokerPool).withBroker = withAnyBroker;
}

/**
 * kafkajs takes a broker for connected once its socket is, though the broker may never have told its versions. Then every
 * request fails with `Error("Broker not connected")`, for ever. And it goes on to the next bootstrap broker only after
 * a failed connection, not when a broker accepts the connection and answers nothing.
 */
function requireAnswers(prototype: Broker, notConnected: unknown): void {
  // eslint-disable-next-line typescript/unbound-method
  const { isConnected, connect } = prototype;
  prototype.isConnected = function (this: Broker): boolean {
    return this.lookupRequest !== notConnected && isConnected.call(this);
  };
  prototype.connect = async function (this: Broker): Promise<void> {
    try {
      await connect.call(this);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "KafkaJSRequestTimeoutError") throw error;
      await this.disconnect();
      throw new KafkaJSConnectionError(error.message, { broker: this.brokerAddress });
    }
  };
}

/**
 * kafkajs reports every failed login as a refused one, also where the broker has not answered or the connection was lost.
 * Only what the broker itself answers is one.
 */
function tellOutagesFromRefusals(prototype: Authenticator): void {
  // eslint-disable-next-line typescript/unbound-method
  const { authenticate } = prototype;
  prototype.authenticate = async function (this: Authenticator): Promise<void> {
    const { connection } = this;
    let outage: unknown;
    const watch = async <T>(answer: Promise<T>): Promise<T> => {
      try {
        return await answer;
      } catch (error) {
        if (!(error instanceof KafkaJSProtocolError)) outage = error;
        throw error;
      }
    };
    this.connection = {
      host: connection.host,
      port: connection.port,
      sasl: connection.sasl,
      send: (request) => watch(connection.send(request)),
      sendAuthRequest: (request) => watch(connection.sendAuthRequest(request)),
    };
    try {
      await authenticate.call(this);
    } catch (error) {
      throw outage ?? error;
    }
  };
}

/**
 * Brokers name any broker as the controller, and for 9 s also one that was lost (`broker.session.timeout.ms`). kafkajs gives up
 * there; any other broker does as well, as it passes the request on. With ZooKeeper it refuses the request, and kafkajs
 * looks for the controller again.
 */
function passOverLostController(cluster: Cluster): void {
  // eslint-disable-next-line typescript/unbound-method
  const { findControllerBroker } = cluster;
  cluster.findControllerBroker = async function (this: Cluster): Promise<Broker> {
    try {
      return await findControllerBroker.call(this);
    } catch (error) {
      if (!(error instanceof KafkaJSConnectionError)) throw error;
      return await this.brokerPool.findConnectedBroker();
    }
  };
}

/** Type of the coordinator of a transactional id, in Kafka's protocol. */
const TRANSACTION = 1;

/**
 * kafkajs asks for the coordinator before every request to it: two of the five round trips of a transaction. It is
 * remembered here until it refuses a request or the connection to it is lost.
 */
function rememberCoordinators(cluster: Cluster, broker: Broker): void {
  const refusing = new WeakSet<Broker>();
  for (const request of ["initProducerId", "addPartitionsToTxn", "endTxn"] as const) {
    const send = broker[request];
    broker[request] = async function (this: Broker, ...args): Promise<unknown> {
      try {
        return await send.apply(this, args);
      } catch (error) {
        // It is the right one, and still busy with the transaction before.
        if ((error as { type?: unknown }).type !== "CONCURRENT_TRANSACTIONS") refusing.add(this);
        throw error;
      }
    };
  }
  const coordinators = new WeakMap<Cluster, Map<string, Broker>>();
  // eslint-disable-next-line typescript/unbound-method
  const { findGroupCoordinator } = cluster;
  cluster.findGroupCoordinator = async function (this: Cluster, options: CoordinatorOf): Promise<Broker> {
    if (options.coordinatorType !== TRANSACTION) return await findGroupCoordinator.call(this, options);
    const known = coordinators.get(this)?.get(options.groupId);
    if (known?.isConnected() === true && !refusing.has(known)) return known;
    const found = await findGroupCoordinator.call(this, options);
    refusing.delete(found);
    coordinators.set(this, new Map([...(coordinators.get(this) ?? []), [options.groupId, found]]));
    return found;
  };
}

/** The function that every new broker of kafkajs has, until it is connected. */
function notConnectedLookup(broker: new (options: object) => Broker): unknown {
  return new broker({ connectionPool: {}, logger: { namespace: () => ({}) } }).lookupRequest;
}

/**
 * Asks one broker after the other. kafkajs's own method gives up where the first one cannot be reached, and hides every
 * error: its callers then read a field of null, or report a coordinator that was not found where a right is missing.
 */
async function withAnyBroker<T>(
  this: BrokerPool,
  use: (options: { readonly nodeId: string; readonly broker: Broker }) => Promise<T>,
): Promise<T> {
  let failure: unknown = new BrokerNotFound("No brokers in the broker pool");
  for (const nodeId of inAnyOrder(Object.keys(this.brokers))) {
    try {
      return await use({ nodeId, broker: await this.findBroker({ nodeId }) });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function inAnyOrder<T>(items: readonly T[]): readonly T[] {
  const first = Math.floor(Math.random() * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}
