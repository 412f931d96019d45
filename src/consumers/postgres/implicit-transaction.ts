import { Query as PgQuery } from "pg";
import type { Connection } from "pg";
import type { SentQuery, TransactionQueries } from "../../postgres/session-settings.ts";

/** What we use of pg's connection; its types lack the names of the statements. */
interface PreparingConnection extends Connection {
  /** By name: the text of each statement that the server has prepared. */
  readonly parsedStatements: Record<string, string>;
}

interface BoundQuery {
  readonly name: string | undefined;
  readonly text: string;
  readonly values: readonly (string | Buffer | null)[];
  readonly portal: string;
}

/**
 * Queries that PostgreSQL runs as one transaction, although none of them begins it: it commits what came since the last
 * Sync when it gets the next one, and after an error it skips to that and rolls back
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING). So they take one write to the socket and one answer,
 * and there is no BEGIN that could fail alone. Rows are dropped.
 *
 * A query of pg that submits several statements: pg calls these methods for each message that the server sends.
 */
export class ImplicitTransaction extends PgQuery {
  readonly #first: readonly BoundQuery[];
  readonly #writes: readonly BoundQuery[];
  readonly #conditions: readonly BoundQuery[];
  readonly #last: readonly BoundQuery[];
  readonly #done = Promise.withResolvers<void>();
  /** The statements that this transaction has the server prepare: by name, their texts. */
  readonly #prepares = new Map<string, string>();
  /** Set by pg where the address has a `query_timeout`. */
  declare callback?: (error: Error | null) => void;

  /** @throws TypeError for a parameter that cannot be sent; then nothing is sent */
  constructor({ first = [], conditions, writes, last = [] }: TransactionQueries) {
    super("");
    this.#first = first.map((query) => bound(query));
    this.#conditions = conditions.map((query) => bound(query));
    this.#writes = writes.map((query, index) => bound(query, `write_${index}`));
    this.#last = last.map((query) => bound(query));
  }

  /** Resolves when PostgreSQL has committed. @throws pg's error of the query that failed */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  override submit = (connection: Connection): void => {
    connection.stream.cork();
    try {
      const preparing = connection as PreparingConnection;
      this.#run(this.#first, preparing);
      for (const query of this.#writes) this.#bind(query, preparing);
      this.#run(this.#conditions, preparing);
      for (const { portal } of this.#writes) connection.execute({ portal }, true);
      this.#run(this.#last, preparing);
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  };

  handleDataRow(): void {}

  handleCommandComplete(): void {}

  handleReadyForQuery(connection: PreparingConnection): void {
    for (const [name, text] of this.#prepares) connection.parsedStatements[name] = text;
    this.#done.resolve();
    this.callback?.(null);
  }

  /**
   * Forgets all statements. Some that are new may not be prepared, and to close one that the server does not have is no error. And of those that
   * were, PostgreSQL may have made other plans by rules that the table has for now (CREATE RULE). It never looks again at the plan of
   * a statement that a rule has left nothing of.
   */
  handleError(error: Error, connection: PreparingConnection): void {
    for (const { name } of [...this.#first, ...this.#conditions, ...this.#writes, ...this.#last]) {
      if (name === undefined) continue;
      delete connection.parsedStatements[name];
      connection.close({ type: "S", name }, true);
    }
    this.#done.reject(error);
    this.callback?.(error);
  }

  #run(queries: readonly BoundQuery[], connection: PreparingConnection): void {
    for (const query of queries) {
      this.#bind(query, connection);
      connection.execute(null, true);
    }
  }

  /** The server prepares a statement with a name once for each connection. */
  #bind({ name, text, values, portal }: BoundQuery, connection: PreparingConnection): void {
    const isPrepared =
      name !== undefined && (connection.parsedStatements[name] !== undefined || this.#prepares.has(name));
    if (!isPrepared) connection.parse({ name: name ?? "", text, types: [] }, true);
    if (name !== undefined && !isPrepared) this.#prepares.set(name, text);
    connection.bind({ portal, ...(name === undefined ? {} : { statement: name }), values: [...values] }, true);
  }
}

function bound({ name, text, values = [] }: SentQuery, portal = ""): BoundQuery {
  return { name, text, values: values.map(toText), portal };
}

function toText(value: unknown): string | Buffer | null {
  if (value === null || typeof value === "string" || Buffer.isBuffer(value)) return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new TypeError(`a parameter of the type ${typeof value} has no text`);
}
