import type { Document } from "mongodb";
import { collectionConfig } from "../../src/config/collections-schema.ts";
import { clusterTimes } from "../../src/producers/mongodb/client.ts";
import { parseColumnType } from "../../src/schemas/mapping/column-type.ts";
import type { IdType } from "../../src/schemas/mapping/mapping.ts";
import { compareTables } from "../../src/verify/compare-tables.ts";
import type { ComparedPipeline } from "../../src/verify/compare-tables.ts";
import type { CollectionResult, VerifyResult } from "../../src/verify/result.ts";
import { freshMongoDatabase, freshPostgresSchema } from "../support/servers.ts";
import type { FreshMongoDatabase, FreshPostgresSchema } from "../support/servers.ts";

/** A collection and a table, both called `things`, without a pipeline: tests write to both. */
export interface Comparison {
  readonly source: FreshMongoDatabase;
  readonly target: FreshPostgresSchema;
  insert(documents: readonly Document[]): Promise<void>;
  sql(text: string, values?: readonly unknown[]): Promise<void>;
  compare(overrides?: Partial<ComparedPipeline>): Promise<VerifyResult>;
  /** The result of the collection. */
  compareThings(overrides?: Partial<ComparedPipeline>): Promise<CollectionResult>;
}

export async function freshComparison(
  idType: IdType,
  columns?: Readonly<Record<string, string | { readonly path: string[]; readonly type: string }>>,
): Promise<Comparison> {
  const source = await freshMongoDatabase();
  const target = await freshPostgresSchema();
  const parsed = Object.entries(columns ?? {}).map(([name, column]) => {
    const { path, type } = typeof column === "string" ? { path: [name], type: column } : column;
    return [name, { path, type: parseColumnType(type) }] as const;
  });
  const config = collectionConfig("things", {
    idType,
    ...(columns === undefined ? {} : { columns: Object.fromEntries(parsed) }),
  });
  const compare = async (overrides: Partial<ComparedPipeline> = {}): Promise<VerifyResult> => {
    const client = await target.pool.connect();
    try {
      const pipeline: ComparedPipeline = {
        db: source.db,
        client,
        schema: target.schema,
        nulCharacters: "replace",
        idTypeOf: async () => idType,
        waitUntilCaughtUp: async () => (await clusterTimes(source.db)).majority,
        openDeadLetters: async () => new Set(),
        ...overrides,
      };
      return await compareTables(pipeline, [config]);
    } finally {
      client.release(true);
    }
  };
  return {
    source,
    target,
    async insert(documents) {
      await source.db.collection("things").insertMany([...documents], { forceServerObjectId: true }); // or it gives null another _id
    },
    async sql(text, values) {
      await target.pool.query(text, values === undefined ? undefined : [...values]);
    },
    compare,
    async compareThings(overrides) {
      const [result] = (await compare(overrides)).collections;
      if (result === undefined) throw new Error("nothing was compared");
      return result;
    },
  };
}

/** The lists of keys of a result. */
export function findings(result: CollectionResult): object {
  const { missing, extra, different, differentColumns } = result;
  return { missing: missing.toSorted(), extra: extra.toSorted(), different: different.toSorted(), differentColumns };
}

export const nothing = { missing: [], extra: [], different: [], differentColumns: {} };
