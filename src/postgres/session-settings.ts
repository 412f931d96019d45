/** A query that a session sends. */
export interface SentQuery {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Of a COPY … FROM STDIN: its rows, in the text format. Only in a transaction without BEGIN. */
  readonly rows?: Buffer;
}

/** A query for a pooler. `isAdded`: nobody asked for it. */
export interface PooledQuery {
  readonly query: SentQuery;
  readonly isAdded: boolean;
}

/** The settings of a session, by name. */
export type SessionSettings = Readonly<Record<string, string>>;

/**
 * Makes every look-up of the sink use an index, also where PostgreSQL would not. It keeps the plans of prepared
 * statements: without these settings, a plan for a small table that is not analysed stays in use while the table grows
 * by millions of rows (docs/performance.md).
 */
const PLANNER_SETTINGS: SessionSettings = {
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  enable_material: "off",
  jit: "off",
};

/** Not start-up parameters, because poolers refuse those that they do not know. */
export function settingsOf(timeouts: {
  readonly statementTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
}): SessionSettings {
  return {
    ...PLANNER_SETTINGS,
    default_transaction_isolation: "read committed",
    statement_timeout: String(Math.round(timeouts.statementTimeoutMs)),
    idle_in_transaction_session_timeout: String(Math.round(timeouts.idleInTransactionTimeoutMs)),
  };
}

/**
 * Sets the settings for the session if PostgreSQL's process is the one that greeted the client. A pooler greets with a
 * number of its own: then nothing is set, because the session may be another client's next, and no row comes back.
 */
export function configureDirectSession(settings: SessionSettings, greetedBy: number): SentQuery {
  return setting(settings, false, " WHERE pg_backend_pid() = $3", [greetedBy]);
}

/**
 * Makes queries leave nothing behind a pooler that gives each transaction another session, such as PgBouncer in
 * transaction mode: the settings are those of the transaction, and no statement is prepared by name.
 */
export function queriesForPooler(
  queries: readonly SentQuery[],
  settings: SessionSettings,
  isInTransaction: boolean,
): readonly PooledQuery[] {
  const result: PooledQuery[] = [];
  let isInside = isInTransaction;
  for (const query of queries.map(withoutName)) {
    const begins = query.text.startsWith("BEGIN");
    const isAlone = !isInside && !begins && query.text !== "ROLLBACK";
    if (isAlone) result.push(added({ text: "BEGIN" }), added(setting(settings, true)));
    result.push({ query, isAdded: false });
    if (isAlone) result.push(added({ text: "COMMIT" }));
    if (begins) result.push(added(setting(settings, true)));
    isInside ||= begins;
  }
  return result;
}

/**
 * The same for queries that are one transaction without a BEGIN. It has the isolation level that the server's database has by default, as it
 * has begun when the settings are made: under a stricter one, PostgreSQL refuses more transactions as not serializable.
 */
export function transactionForPooler(queries: readonly SentQuery[], settings: SessionSettings): readonly SentQuery[] {
  return [setting(settings, true), ...queries.map(withoutName)];
}

function withoutName({ name: _name, ...query }: SentQuery): SentQuery {
  return query;
}

function added(query: SentQuery): PooledQuery {
  return { query, isAdded: true };
}

function setting(settings: SessionSettings, isLocal: boolean, where = "", more: readonly unknown[] = []): SentQuery {
  return {
    text: `SELECT set_config(name, value, ${isLocal}) FROM unnest($1::text[], $2::text[]) AS setting (name, value)${where}`,
    values: [Object.keys(settings), Object.values(settings), ...more],
  };
}
