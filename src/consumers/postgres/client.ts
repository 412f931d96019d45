import { callbackify } from "node:util";
import { Client, Pool } from "pg";
import type { PoolClient, QueryConfig } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import { classifyPostgresError, sqlStateOf } from "./errors.ts";

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
}

export const BEGIN: Query = { text: "BEGIN ISOLATION LEVEL READ COMMITTED" };

const READ_ONLY = "25006";

/** A pool of connections. All errors that it throws are classified. */
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
      // Idle connections stay open: a new one would have to prepare its statements again.
      idleTimeoutMillis: 0,
      Client: clientClass(options),
    });
    // The pool replaces an idle connection that breaks. If that fails, the next user of the pool gets the error.
    this.#pool.on("error", () => {});
  }

  /**
   * Calls `work` with a connection of its own. Rolls back a transaction that it leaves open.
   * @param options.statementTimeoutMs where `work` sets another statement timeout for its transaction
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
        message: "PostgreSQL rolled back a transaction that Headrace wanted to commit.",
        remedy: "This is a bug in Headrace. Please report it, with PostgreSQL's log of that time.",
      });
    }
    return results.slice(0, -1);
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
    // The server has a timeout for each query. Without an answer after all of them, the connection is lost.
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
 * Makes every look-up of the sink use an index, also where PostgreSQL would not. It keeps the plans of prepared
 * statements: without these settings, a plan for a small table that is not analysed stays in use while the table grows
 * by millions of rows (docs/performance.md).
 */
const PLANNER_SETTINGS = `SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET enable_material = off; SET jit = off`;

/** Uses SET, because poolers refuse start-up parameters that they do not know. */
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
 * A pg.Client that configures its session after it has connected, and classifies failures to connect. This is not
 * possible outside: the pool does not show the failed client, and only its socket tells a broken connection from, for
 * example, a server without TLS.
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
      // The connection may break together with an answer, before anybody else listens for errors.
      let isLost = false;
      this.on("error", () => (isLost = true));
      const timer = setTimeout(() => this.connection.stream.destroy(connectTimedOut()), options.connectTimeoutMs);
      try {
        await super.connect();
        if (!isLost) await configure(this, options);
        if (isLost) throw connectionBroke();
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

function connectFailure(error: unknown, connectionLost: boolean): HeadraceError {
  const failure = classifyPostgresError(error, { connectionLost });
  if (failure.code !== "POSTGRES_UNEXPECTED" || sqlStateOf(failure) !== undefined) return failure;
  // While connecting, the driver's messages hold no document's value, and name what is wrong with TLS or the URL.
  return new HeadraceError(
    "POSTGRES_CONNECT_FAILED",
    {
      message: `Cannot connect to PostgreSQL: ${error instanceof Error ? error.message : String(error)}`,
    },
    error,
  );
}
