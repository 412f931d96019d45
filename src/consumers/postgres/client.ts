import { callbackify } from "node:util";
import { Client, Pool } from "pg";
import type { PoolClient } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import { connectAttempts, tryInOrder } from "../../postgres/address.ts";
import { configureDirectSession, settingsOf } from "../../postgres/session-settings.ts";
import { classifyConnectError, classifyPostgresError, sqlStateOf } from "./errors.ts";
import { Session } from "./session.ts";
import type { PostgresSession, Query, Result } from "./session.ts";

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

const READ_ONLY = "25006";

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
