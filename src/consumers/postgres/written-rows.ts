import { errorKind, HeadraceError } from "../../errors/error.ts";
import { aboveFloor } from "../batches/fold-batch.ts";
import type { RowGroup } from "../batches/fold-batch.ts";
import type { TableName } from "../ports.ts";
import { readUniqueColumns } from "./catalog.ts";
import type { PostgresClient } from "./client.ts";
import { sqlStateOf } from "./errors.ts";
import { BEGIN } from "./session.ts";
import type { PostgresSession, Query } from "./session.ts";
import { withoutRows } from "./sql/group-statements.ts";
import type { DocumentStatements } from "./sql/group-statements.ts";
import { freeOutdated } from "./sql/upsert-sql.ts";

const UNIQUE_VIOLATION = "23505";

interface WrittenGroup {
  readonly group: RowGroup;
  readonly sql: DocumentStatements;
}

/** Queries that go before those that write the rows. To be asked for once the transaction holds its lock. */
type Free = (session: PostgresSession, floor: bigint | undefined) => Promise<readonly Query[]>;

/** The rows that one transaction writes to a table, and what is to be done if PostgreSQL refuses them. */
export class WrittenRows {
  readonly #client: PostgresClient;
  readonly #table: TableName;
  readonly #internalSchema: string;
  readonly #groups: readonly WrittenGroup[];

  constructor(client: PostgresClient, table: TableName, internalSchema: string, groups: readonly WrittenGroup[]) {
    this.#client = client;
    this.#table = table;
    this.#internalSchema = internalSchema;
    // A truncate has a group without rows.
    this.#groups = groups.filter(({ group }) => group.upserts.length > 0 || group.deletes.length > 0);
  }

  /**
   * Runs `attempt`. If a unique index refuses a row, runs it once more, with outdated rows made to give way: two
   * documents may have swapped their values.
   */
  async write<T>(attempt: (free: Free) => Promise<T>): Promise<T> {
    let isLocked = false;
    const nothing: Free = () => {
      isLocked = true;
      return Promise.resolve([]);
    };
    try {
      return await attempt(nothing);
    } catch (error) {
      if (!isLocked || this.#groups.length === 0) throw error;
      if (!this.#isUniqueViolation(error)) throw await this.#rowFailure(error);
      return await attempt((session, floor) => this.#free(session, floor, error)).catch((failure: unknown) => {
        throw errorKind(failure) === "retryable" ? failure : error;
      });
    }
  }

  #isUniqueViolation(error: unknown): error is HeadraceError {
    if (!(error instanceof HeadraceError) || sqlStateOf(error) !== UNIQUE_VIOLATION) return false;
    const { schema, table } = error.details;
    return schema === this.#table.schema && table === this.#table.table;
  }

  async #free(
    session: PostgresSession,
    floor: bigint | undefined,
    { details }: HeadraceError,
  ): Promise<readonly Query[]> {
    const columns = await readUniqueColumns(session, this.#table, details["constraint"] ?? "");
    const unique = new Set(columns.map(({ name }) => name));
    const target = { table: this.#table, internalSchema: this.#internalSchema };
    return this.#groups.flatMap(({ group }) => {
      const filled = new Set(group.rowSchema.columns.map(({ name }) => name));
      const freed = columns.find(({ name, isNullable }) => isNullable && filled.has(name))?.name;
      const applied = aboveFloor(group, floor);
      return freed === undefined || applied.upserts.length === 0
        ? []
        : [freeOutdated(target, applied, { unique, freed })];
    });
  }

  /**
   * Finds out whether an SQLSTATE that is fatal otherwise is only about the rows: then the same statements succeed without
   * rows. A trigger may raise any SQLSTATE, and its function may fail with any.
   * @returns poison, the given error, or a retryable one where PostgreSQL cannot tell now
   */
  async #rowFailure(error: unknown): Promise<unknown> {
    if (!(error instanceof HeadraceError) || error.kind !== "fatal" || sqlStateOf(error) === undefined) return error;
    try {
      // Without COMMIT: a trigger for each statement runs here, too.
      await this.#client.session((session) =>
        session.run(BEGIN, ...this.#groups.flatMap(({ sql }) => withoutRows(sql))),
      );
    } catch (failure) {
      return errorKind(failure) === "retryable" ? failure : error;
    }
    const { message, details } = error;
    return new HeadraceError(details["raised"] === "true" ? "TRIGGER_REFUSED" : "ROW_REFUSED", { message, details });
  }
}
