import { Query as PgQuery } from "pg";
import type { Connection } from "pg";
import type { SentQuery } from "../../postgres/session-settings.ts";

/** What we use of pg's connection; its types lack the names of the statements. */
interface PreparingConnection extends Connection {
  /** By name: the text of each statement that the server has prepared. */
  readonly parsedStatements: Record<string, string>;
  /** The same, for those that it was sent but has not answered yet. */
  readonly submittedNamedStatements: Record<string, string>;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

interface BoundQuery {
  readonly name: string | undefined;
  readonly text: string;
  readonly values: readonly (string | Buffer | null)[];
  readonly rows: Buffer | undefined;
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
  readonly #queries: readonly BoundQuery[];
  readonly #done = Promise.withResolvers<void>();
  #completed = 0;
  /** pg notes the statement of the running query under this name as prepared. */
  name: string | undefined;
  text: string | undefined;

  constructor(queries: readonly SentQuery[]) {
    super("");
    // Now: a value that cannot be sent must not leave half of a message.
    this.#queries = queries.map(({ name, text, values = [], rows }) => ({
      name,
      text,
      values: values.map(toText),
      rows,
    }));
    this.#point();
  }

  /** Resolves when PostgreSQL has committed. @throws pg's error of the query that failed */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  override submit = (connection: Connection): void => {
    connection.stream.cork();
    try {
      for (const query of this.#queries) send(query, connection as PreparingConnection);
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  };

  /** The rows are on their way already. Where the COPY fails, PostgreSQL drops them. */
  handleCopyInResponse(): void {}

  handleDataRow(): void {}

  handleCommandComplete(): void {
    this.#completed++;
    this.#point();
  }

  handleReadyForQuery(): void {
    this.#done.resolve();
  }

  handleError(error: Error, connection: Connection): void {
    // The server has skipped these.
    for (const { name } of this.#queries.slice(this.#completed)) {
      if (name !== undefined) delete (connection as PreparingConnection).submittedNamedStatements[name];
    }
    this.#done.reject(error);
  }

  #point(): void {
    const query = this.#queries[this.#completed];
    this.name = query?.name;
    this.text = query?.text;
  }
}

/** The server prepares a statement with a name once for each connection. */
function send({ name, text, values, rows }: BoundQuery, connection: PreparingConnection): void {
  const { parsedStatements, submittedNamedStatements } = connection;
  const isPrepared = name !== undefined && (parsedStatements[name] ?? submittedNamedStatements[name]) !== undefined;
  if (!isPrepared) connection.parse({ name: name ?? "", text, types: [] }, true);
  if (name !== undefined && !isPrepared) submittedNamedStatements[name] = text;
  connection.bind({ ...(name === undefined ? {} : { statement: name }), values: [...values] }, true);
  connection.execute(null, true);
  if (rows === undefined) return;
  connection.sendCopyFromChunk(rows);
  connection.endCopyFrom();
}

function toText(value: unknown): string | Buffer | null {
  if (value === null || typeof value === "string" || Buffer.isBuffer(value)) return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new TypeError(`a parameter of the type ${typeof value} has no text`);
}
