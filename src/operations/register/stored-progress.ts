import type { PostgresClient } from "../../consumers/postgres/client.ts";
import type { Row } from "../../consumers/postgres/session.ts";
import { partitionKey } from "../../schemas/partitions.ts";

/** Up to where the consumers have applied each partition, by `partitionKey`; absent where nothing is. @throws HeadraceError */
export async function readProgress(postgres: PostgresClient): Promise<ReadonlyMap<string, bigint>> {
  if ((await query(postgres, "SELECT to_regclass('headrace.progress') AS found"))[0]?.["found"] === null)
    return new Map();
  const rows = await query(postgres, "SELECT topic, partition, next_offset FROM headrace.progress");
  return new Map(
    rows.map(({ topic, partition, next_offset: next }) => [
      partitionKey({ topic: String(topic), partition: Number(partition) }),
      BigInt(String(next)),
    ]),
  );
}

async function query(postgres: PostgresClient, text: string): Promise<readonly Row[]> {
  const [result] = await postgres.run({ text });
  return result?.rows ?? [];
}
