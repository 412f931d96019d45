import { callbackify } from "node:util";
import { Client, Pool } from "pg";
import type { PoolClient, QueryConfig } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import { connectAttempts, tryInOrder } from "../../postgres/address.ts";
import {
  configureDirectSession,
  queriesForPooler,
  settingsOf,
  transactionForPooler,
} from "../../postgres/session-settings.ts";
import type { SentQuery, SessionSettings } from "../../postgres/session-settings.ts";
import { classifyConnectError, classifyPostgresError, sqlStateOf } from "./errors.ts";
import { ImplicitTransaction } from "./implicit-transaction.ts";

export interface PostgresOptions {
  readonly url: string;
  /** The maximum number of connections. Each applies one batch at a time. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** The server cancels statements that take longer. */
  readonly statementTimeoutMs: number;
  /** The server ends a session that stays idle in a transaction for longer, so that a stalled process releases its locks. */
  readonly idleInTransactionTimeoutMs: number;
}

/** A SQL statement with its parameters. Where it has a name, each connection prepares it once, under this name. */
export type Query = SentQuery;

export type Row = Readonly<Record<string, unknown>>;

export interface Result {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

/** One connection for a piece of work. */
export interface PostgresSession {
  /**
   * Sends all queries at once and resolves when PostgreSQL has answered all of them. Outside a transaction, each
   * query is a transaction of its own: those after a failed query still run.
   * @throws HeadraceError of the first failed query
   */
  run(...queries: readonly Query[]): Promise<readonly Result[]>;
  /** Like `run`, with a COMMIT at the end. After a retryable error the transaction may or may not be committed. */
  commit(...queries: readonly Query[]): Promise<readonly Result[]>;
  /**
   * Runs the queries as one transaction, without a BEGIN before or a COMMIT after them: the shortest way there is. After a
   * retryable error it may or may not be committed. Not within another transaction.
   */
  transact(...queries: readonly Query[]): Promise<void>;
}

export const BEGIN: Query = { text: "BEGIN ISOLATION LEVEL READ COMMITTED" };

const READ_ONLY = "25006";
/** Node's timers take longer ones for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A pool of connections. All errors that it throws are classified. */
export class PostgresClient {
  readonly #options: PostgresOptions;
  /** One for each way to connect. */
  #pools: Promise<readonly Pool[]> | undefined;
  /** The one that last connected. */
  #lastPool: Pool | undefined;
  /** The connections that lead to a pooler. */
  readonly #pooled = new WeakSet<Client>();

  /** Connects on first use. */
  constructor(options: PostgresOptions) {
    this.#options = options;
  }

  /**
   * Calls `work` with a connection of its own. Rolls back a transaction that it leaves open.
   * @param options.statementTimeoutMs where `work` sets another statement timeout for its transaction
   */
  async session<T>(
    work: (session: PostgresSession) => Promise<T>,
    { statementTimeoutMs = this.#options.statementTimeoutMs }: { statementTimeoutMs?: number } = {},
  ): Promise<T> {
    const connection = await this.#connect();
    const localSettings = this.#pooled.has(connection) ? settingsOf(this.#options) : null;
    const session = new Session(connection, statementTimeoutMs, localSettings);
    try {
      const result = await work(session);
      if (connection.getTransactionStatus() !== "I") await session.rollBack();
      return result;
    } catch (error) {
      // Rolls back whatever the transaction's status: the driver throws before it knows the new status.
      await session.rollBack().catch(() => session.abandon());
      // The address may lead to another server now, or the server's mode may have changed. This session would not notice.
      if (sqlStateOf(error) === READ_ONLY) session.abandon();
      throw error;
    } finally {
      connection.release(!session.end());
    }
  }

  /** Runs queries on any connection, sent at once, each in a transaction of its own. */
  async run(...queries: readonly Query[]): Promise<readonly Result[]> {
    return await this.session((session) => session.run(...queries));
  }

  /** Waits for the sessions in use, then closes all connections. */
  async close(): Promise<void> {
    const pools = (await this.#pools?.catch(() => [])) ?? [];
    await Promise.all(pools.map((pool) => pool.end()));
  }

  async #connect(): Promise<PoolClient> {
    this.#pools ??= this.#openPools().catch((error: unknown) => {
      this.#pools = undefined;
      throw error;
    });
    const pools = await this.#pools;
    const ordered = [...pools].sort((a, b) => Number(b === this.#lastPool) - Number(a === this.#lastPool));
    return await tryInOrder(ordered, async (pool) => {
      try {
        const connection = await pool.connect();
        this.#lastPool = pool;
        return connection;
      } catch (error) {
        throw classifyPostgresError(error, { connectionLost: false });
      }
    });
  }

  async #openPools(): Promise<readonly Pool[]> {
    const attempts = await connectAttempts(this.#options.url);
    return attempts.map((attempt) => {
      const pool = new Pool({
        ...attempt,
        max: this.#options.connections,
        fallback_application_name: "headrace",
        keepAlive: true,
        pipeline: true,
        // Idle connections stay open: a new one would have to prepare its statements again.
        idleTimeoutMillis: 0,
        Client: clientClass(this.#options, (client) => this.#pooled.add(client)),
      });
      // The pool replaces an idle connection that breaks. If that fails, the next user of the pool gets the error.
      pool.on("error", () => {});
      return pool;
    });
  }
}

class Session implements PostgresSession {
  readonly #connection: Client;
  readonly #statementTimeoutMs: number;
  readonly #localSettings: SessionSettings | null;
  #lost = false;
  readonly #onLost = (): void => {
    this.#lost = true;
  };

  /** @param localSettings behind a pooler: what each transaction sets for itself */
  constructor(connection: Client, statementTimeoutMs: number, localSettings: SessionSettings | null) {
    this.#connection = connection;
    this.#localSettings = localSettings;
    this.#statementTimeoutMs = statementTimeoutMs;
    connection.on("error", this.#onLost);
  }

  async run(...queries: readonly Query[]): Promise<readonly Result[]> {
    return await this.#send(queries);
  }

  async commit(...queries: readonly Query[]): Promise<readonly Result[]> {
    const results = await this.#send([...queries, { text: "COMMIT" }]);
    if (results.at(-1)?.command !== "COMMIT") {
      // PostgreSQL answers COMMIT with ROLLBACK, not with an error, when the transaction had failed before.
      throw new HeadraceError("POSTGRES_UNEXPECTED", {
        message: "PostgreSQL rolled back a transaction that Headrace wanted to commit.",
        remedy: "This is a bug in Headrace. Please report it, with PostgreSQL's log of that time.",
      });
    }
    return results.slice(0, -1);
  }

  async transact(...queries: readonly Query[]): Promise<void> {
    const settings = this.#localSettings;
    const transaction = new ImplicitTransaction(settings === null ? queries : transactionForPooler(queries, settings));
    this.#connection.query(transaction);
    const [answer] = await this.#inTime(queries.length, [transaction.done]);
    if (answer?.status === "rejected") throw classifyPostgresError(answer.reason, { connectionLost: this.#lost });
  }

  /** Works without a transaction, too: PostgreSQL then only warns. */
  async rollBack(): Promise<void> {
    if (!this.#lost) await this.run({ text: "ROLLBACK" });
  }

  abandon(): void {
    this.#lost = true;
    this.#connection.connection.stream.destroy();
  }

  /** Ends the session. @returns whether the connection still works */
  end(): boolean {
    this.#connection.off("error", this.#onLost);
    return !this.#lost;
  }

  async #send(queries: readonly Query[]): Promise<readonly PgResult[]> {
    if (this.#localSettings === null) return await this.#sendAsTheyAre(queries);
    const isInTransaction = (this.#connection.getTransactionStatus() ?? "I") !== "I";
    const pooled = queriesForPooler(queries, this.#localSettings, isInTransaction);
    const results = await this.#sendAsTheyAre(pooled.map(({ query }) => query));
    return results.filter((_, index) => pooled[index]?.isAdded === false);
  }

  async #sendAsTheyAre(queries: readonly Query[]): Promise<readonly PgResult[]> {
    const sent = queries.map((query) => this.#connection.query<Row>(toConfig(query)));
    return (await this.#inTime(queries.length, sent)).map((answer) => {
      if (answer.status === "rejected") throw classifyPostgresError(answer.reason, { connectionLost: this.#lost });
      const { command, rows, rowCount } = answer.value;
      return { command, rows, rowCount: rowCount ?? 0 };
    });
  }

  /** The server has a timeout for each query. Without an answer after all of them, the connection is lost. */
  async #inTime<T>(queries: number, answers: readonly Promise<T>[]): Promise<readonly PromiseSettledResult<T>[]> {
    const patienceMs = Math.min((queries + 1) * this.#statementTimeoutMs, LONGEST_TIMER_MS);
    const timer = setTimeout(() => this.abandon(), patienceMs);
    const settled = await Promise.allSettled(answers);
    clearTimeout(timer);
    return settled;
  }
}

interface PgResult extends Result {
  readonly command: string;
}

function toConfig({ name, text, values }: Query): QueryConfig {
  return { ...(name === undefined ? {} : { name }), text, ...(values === undefined ? {} : { values: [...values] }) };
}

/** @returns whether the client talks to PostgreSQL itself; behind a pooler nothing is configured */
async function configure(client: Client, greetedBy: number, options: PostgresOptions): Promise<boolean> {
  const session = new Session(client, options.statementTimeoutMs, null);
  try {
    const [settings] = await session.run(configureDirectSession(settingsOf(options), greetedBy));
    return settings !== undefined && settings.rowCount > 0;
  } finally {
    session.end();
  }
}

/**
 * A pg.Client that configures its session after it has connected, and classifies failures to connect. This is not
 * possible outside: the pool does not show the failed client, and only its socket tells a broken connection from, for
 * example, a server without TLS.
 */
function clientClass(options: PostgresOptions, onPooler: (client: Client) => void): new () => Client {
  return class extends Client {
    override connect(): Promise<Client>;
    override connect(callback: (error: Error | null) => void): void;
    override connect(callback?: (error: Error | null) => void): Promise<Client> | void {
      if (callback === undefined) return this.#connect();
      callbackify(() => this.#connect())(callback);
    }

    async #connect(): Promise<Client> {
      // The connection may break together with an answer, before anybody else listens for errors.
      let isLost = false;
      this.on("error", () => (isLost = true));
      let greetedBy = -1;
      this.connection.once("backendKeyData", ({ processID }: { processID: number }) => (greetedBy = processID));
      const timer = setTimeout(() => this.connection.stream.destroy(connectTimedOut()), options.connectTimeoutMs);
      try {
        await super.connect();
        if (!isLost && !(await configure(this, greetedBy, options))) onPooler(this);
        if (isLost) throw connectionBroke();
        return this;
      } catch (error) {
        const failure = classifyConnectError(error, { connectionLost: isLost || this.connection.stream.destroyed });
        this.connection.stream.destroy();
        throw failure;
      } finally {
        clearTimeout(timer);
      }
    }
  };
}

function connectionBroke(): HeadraceError {
  return new HeadraceError("POSTGRES_UNAVAILABLE", {
    message: "The connection to PostgreSQL broke while it was being opened.",
  });
}

function connectTimedOut(): HeadraceError {
  return new HeadraceError("POSTGRES_UNAVAILABLE", {
    message: "PostgreSQL did not accept a connection in time.",
    remedy: "Check postgres.url, the network between this machine and the server, and the server's load.",
  });
}
