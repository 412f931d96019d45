import type { Client, QueryConfig } from "pg";
import { HeadraceError } from "../../errors/error.ts";
import { queriesForPooler, transactionForPooler } from "../../postgres/session-settings.ts";
import type { SentQuery, SessionSettings, TransactionQueries } from "../../postgres/session-settings.ts";
import { classifyPostgresError } from "./errors.ts";
import { ImplicitTransaction } from "./implicit-transaction.ts";

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
   * Runs the queries as one transaction, in one message with one answer: the shortest way there is. After a retryable error
   * it may or may not be committed. Not within another transaction.
   */
  transact(queries: TransactionQueries): Promise<void>;
}

export const BEGIN: Query = { text: "BEGIN ISOLATION LEVEL READ COMMITTED" };

/** Node's timers take longer ones for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A session on a connection of pg. All errors that it throws are classified. */
export class Session implements PostgresSession {
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

  async transact(queries: TransactionQueries): Promise<void> {
    const settings = this.#localSettings;
    const sent = settings === null ? queries : transactionForPooler(queries, settings, BEGIN);
    const transaction = new ImplicitTransaction(sent);
    this.#connection.query(transaction);
    const [answer] = await this.#inTime(queries.conditions.length + queries.writes.length, [transaction.done]);
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
