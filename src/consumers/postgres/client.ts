import { callbackify } from "node:util";
import { Client, Pool } from "pg";
import type { PoolClient, QueryConfig } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import { classifyPostgresError, sqlStateOf } from "./errors.ts";

export interface PostgresOptions {
  readonly url: string;
  /** The most connections at once; each applies one batch at a time. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** The server cancels a statement that takes longer. */
  readonly statementTimeoutMs: number;
  /** The server ends a session that stays silent in a transaction, so that a stalled process gives its locks back. */
  readonly idleInTransactionTimeoutMs: number;
}

/** A SQL statement with its parameters. */
export interface Query {
  /** Where given, each connection prepares the statement once, under this name. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

export type Row = Readonly<Record<string, unknown>>;

export interface Result {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

/** One connection, held for a while. */
export interface PostgresSession {
  /**
   * Sends all queries at once and resolves when all are answered. Each is a statement of its own: outside a
   * transaction a failed one doesn't stop those behind it.
   * @throws HeadraceError of the first query that failed
   */
  run(...queries: readonly Query[]): Promise<readonly Result[]>;
  /** The same, with a COMMIT behind. When it throws a retryable error, the transaction may have been committed. */
  commit(...queries: readonly Query[]): Promise<readonly Result[]>;
}

export const BEGIN: Query = { text: "BEGIN ISOLATION LEVEL READ COMMITTED" };

const READ_ONLY = "25006";

/** PostgreSQL's connections. What they throw is classified. */
export class PostgresClient {
  readonly #pool: Pool;
  readonly #statementTimeoutMs: number;

  constructor(options: PostgresOptions) {
    this.#statementTimeoutMs = options.statementTimeoutMs;
    this.#pool = new Pool({
      connectionString: options.url,
      max: options.connections,
      fallback_application_name: "headrace",
      keepAlive: true,
      pipeline: true,
      // Kept while idle: a new connection would have to prepare its statements again.
      idleTimeoutMillis: 0,
      Client: clientClass(options),
    });
    // An idle connection that breaks is replaced by the pool; whoever needs one then learns whether that is possible.
    this.#pool.on("error", () => {});
  }

  /**
   * Gives `work` a connection of its own. A transaction that it leaves open is rolled back.
   * @param options.statementTimeoutMs for work that sets another limit for its transaction
   */
  async session<T>(
    work: (session: PostgresSession) => Promise<T>,
    { statementTimeoutMs = this.#statementTimeoutMs }: { statementTimeoutMs?: number } = {},
  ): Promise<T> {
    const connection = await this.#connect();
    const session = new Session(connection, statementTimeoutMs);
    try {
      const result = await work(session);
      if (connection.getTransactionStatus() !== "I") await session.rollBack();
      return result;
    } catch (error) {
      // Whatever the driver takes the status for: it throws before it has heard of the new one.
      await session.rollBack().catch(() => session.abandon());
      // A session keeps the mode that it began with, also when the server, or which one is meant, has changed.
      if (sqlStateOf(error) === READ_ONLY) session.abandon();
      throw error;
    } finally {
      connection.release(!session.end());
    }
  }

  /** Runs queries on any connection, all at once, each in a transaction of its own. */
  async run(...queries: readonly Query[]): Promise<readonly Result[]> {
    return await this.session((session) => session.run(...queries));
  }

  /** Waits for the sessions in use, then ends all connections. */
  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw classifyPostgresError(error, { connectionLost: false });
    }
  }
}

class Session implements PostgresSession {
  readonly #connection: Client;
  readonly #statementTimeoutMs: number;
  #lost = false;
  readonly #onLost = (): void => {
    this.#lost = true;
  };

  constructor(connection: Client, statementTimeoutMs: number) {
    this.#connection = connection;
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
        message: "PostgreSQL rolled back a transaction that Headrace took for sound.",
        remedy: "This is a mistake in Headrace: report it, with PostgreSQL's log of that moment.",
      });
    }
    return results.slice(0, -1);
  }

  /** Also where there is no transaction: PostgreSQL only warns then. */
  async rollBack(): Promise<void> {
    if (!this.#lost) await this.run({ text: "ROLLBACK" });
  }

  abandon(): void {
    this.#lost = true;
    this.#connection.connection.stream.destroy();
  }

  /** Whether the connection is of use to others. */
  end(): boolean {
    this.#connection.off("error", this.#onLost);
    return !this.#lost;
  }

  async #send(queries: readonly Query[]): Promise<readonly PgResult[]> {
    // The server has a timeout for each; when even then nothing comes, the network has lost the connection.
    const timer = setTimeout(() => this.abandon(), (queries.length + 1) * this.#statementTimeoutMs);
    const answers = await Promise.allSettled(queries.map((query) => this.#connection.query<Row>(toConfig(query))));
    clearTimeout(timer);
    return answers.map((answer) => {
      if (answer.status === "rejected") throw classifyPostgresError(answer.reason, { connectionLost: this.#lost });
      const { command, rows, rowCount } = answer.value;
      return { command, rows, rowCount: rowCount ?? 0 };
    });
  }
}

interface PgResult extends Result {
  readonly command: string;
}

function toConfig({ name, text, values }: Query): QueryConfig {
  return { ...(name === undefined ? {} : { name }), text, ...(values === undefined ? {} : { values: [...values] }) };
}

/**
 * Every look-up of the sink goes by an index, and has to even where PostgreSQL would not choose so: its plans are kept,
 * and one made while a table was small and not analysed yet stays in use while the table grows by millions of rows.
 * Measured, with the defaults, on a table that had grown from nothing to a million rows: 57 ms for an upsert of one
 * row; with these settings 0.6 ms.
 */
const PLANNER_SETTINGS = `SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET enable_material = off; SET jit = off`;

/** By SET and not at connecting, where poolers refuse parameters that they don't know. */
async function configure(client: Client, options: PostgresOptions): Promise<void> {
  const session = new Session(client, options.statementTimeoutMs);
  try {
    await session.run({
      text: `SET statement_timeout = ${Math.round(options.statementTimeoutMs)};
SET idle_in_transaction_session_timeout = ${Math.round(options.idleInTransactionTimeoutMs)}; ${PLANNER_SETTINGS}`,
    });
  } finally {
    session.end();
  }
}

/**
 * A pg.Client that is configured once connected, and whose failures to connect are classified. The pool doesn't show
 * the client that failed, and only its socket tells a broken connection from, say, a server without TLS.
 */
function clientClass(options: PostgresOptions): new () => Client {
  return class extends Client {
    override connect(): Promise<Client>;
    override connect(callback: (error: Error | null) => void): void;
    override connect(callback?: (error: Error | null) => void): Promise<Client> | void {
      if (callback === undefined) return this.#connect();
      callbackify(() => this.#connect())(callback);
    }

    async #connect(): Promise<Client> {
      // It may break in the same moment as an answer comes, before anybody else listens for that.
      let isLost = false;
      this.on("error", () => (isLost = true));
      const timer = setTimeout(() => this.connection.stream.destroy(connectTimedOut()), options.connectTimeoutMs);
      try {
        await super.connect();
        if (!isLost) await configure(this, options);
        if (isLost) throw new Error("the connection broke");
        return this;
      } catch (error) {
        const failure = connectFailure(error, isLost || this.connection.stream.destroyed);
        this.connection.stream.destroy();
        throw failure;
      } finally {
        clearTimeout(timer);
      }
    }
  };
}

function connectTimedOut(): HeadraceError {
  return new HeadraceError("POSTGRES_UNAVAILABLE", {
    message: "PostgreSQL did not answer in time when connecting.",
    remedy: "Check postgres.url, the network between here and the server, and the server's load.",
  });
}

function connectFailure(error: unknown, connectionLost: boolean): HeadraceError {
  const failure = classifyPostgresError(error, { connectionLost });
  if (failure.code !== "POSTGRES_UNEXPECTED" || sqlStateOf(failure) !== undefined) return failure;
  // While connecting, the driver's messages hold no document's value, and say what is wrong with TLS or the URL.
  return new HeadraceError(
    "POSTGRES_CONNECT_FAILED",
    {
      message: `Connecting to PostgreSQL failed: ${error instanceof Error ? error.message : String(error)}`,
    },
    error,
  );
}
