import { describeSink } from "../contracts/sink.ts";
import { freshSink } from "./postgres-fixture.ts";

describeSink("PostgresSink as a Sink", async () => {
  const { schema, pool, openSink } = await freshSink();
  return {
    open: () => openSink(),
    table: { schema, table: "products" },
    rows: async () => {
      const exists = await pool.query("SELECT to_regclass('products') AS found");
      if (exists.rows[0].found === null) return [];
      const { rows } = await pool.query(`SELECT "_id", "_version", "n"::text FROM products ORDER BY "_id"`);
      return rows.map((row) => ({
        key: row._id as string,
        version: row._version === null ? null : BigInt(row._version as string),
        n: row.n as string | null,
      }));
    },
  };
});
