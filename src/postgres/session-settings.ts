/** A query that a session sends. */
export interface SentQuery {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** The queries of a transaction that is sent at once, in the order in which they run. */
export interface TransactionQueries {
  /** What begins it. Default: nothing, which is enough. */
  readonly first?: readonly SentQuery[];
  /** Small ones, which take the locks. */
  readonly conditions: readonly SentQuery[];
  /**
   * Their parameters are sent before the conditions: no lock is held while many megabytes travel, or never come, as PostgreSQL has no
   * timer for a client that stops in the middle. They return no rows: what returns none sees the tables as they are when it runs,
   * while a SELECT sees them as they are when its parameters come.
   */
  readonly writes: readonly SentQuery[];
  /** What ends it. Default: nothing. */
  readonly last?: readonly SentQuery[];
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
    // A client that vanishes leaves its locks to a backend that waits for it: by default for two hours.
    tcp_keepalives_idle: "20",
    tcp_keepalives_interval: "10",
    tcp_keepalives_count: "3",
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
 * The same for queries that are sent as one transaction.
 * @param begin says the isolation level, as a pooler's session may have another one by default
 */
export function transactionForPooler(
  { conditions, writes }: TransactionQueries,
  settings: SessionSettings,
  begin: SentQuery,
): TransactionQueries {
  return {
    first: [begin, setting(settings, true)],
    conditions: conditions.map(withoutName),
    writes: writes.map(withoutName),
    last: [{ text: "COMMIT" }],
  };
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
