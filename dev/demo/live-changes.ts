import type { Collection, Db } from "mongodb";
import type { Pool } from "pg";

interface City {
  _id: number;
  name: string;
  population: number;
}

/** The changes of the live phase, and the latencies of single updates from acknowledged to visible, in ms. */
export interface LiveChanges {
  inserts: number;
  updates: number;
  deletes: number;
  latenciesMs: number[];
}

/**
 * Writes to the source for `durationMs` (inserts, updates, deletes of cities), while it times single
 * updates of one city from MongoDB's acknowledgement until PostgreSQL shows them.
 */
export async function makeLiveChanges(
  database: Db,
  pool: Pool,
  { durationMs, table }: { durationMs: number; table: string },
): Promise<LiveChanges> {
  const cities = database.collection<City>("cities");
  const changes: LiveChanges = { inserts: 0, updates: 0, deletes: 0, latenciesMs: [] };
  const end = Date.now() + durationMs;
  await Promise.all([writeUntil(end, cities, changes), probeUntil(end, cities, pool, table, changes)]);
  return changes;
}

async function writeUntil(end: number, cities: Collection<City>, changes: LiveChanges): Promise<void> {
  const sample = await cities.find().sort({ population: -1 }).skip(100).limit(3_000).toArray();
  for (let turn = 0; Date.now() < end; turn++) {
    const city = sample[turn % sample.length];
    if (city === undefined) return;
    // Inserts a new city, updates an old one, and every second time deletes the new one again.
    const founded = { ...city, _id: 1_000_000_000 + turn, name: `New ${city.name}`, population: 1 };
    await cities.insertOne(founded);
    await cities.updateOne({ _id: city._id }, { $inc: { population: 1 }, $set: { census: new Date() } });
    changes.inserts++;
    changes.updates++;
    if (turn % 2 === 0) continue;
    await cities.deleteOne({ _id: founded._id });
    changes.deletes++;
  }
}

async function probeUntil(
  end: number,
  cities: Collection<City>,
  pool: Pool,
  table: string,
  changes: LiveChanges,
): Promise<void> {
  const probed = await cities.findOne({ name: "Reykjavík" });
  if (probed === null) throw new Error("the sample data has no Reykjavík");
  for (let population = probed.population + 1; Date.now() < end; population++) {
    await cities.updateOne({ _id: probed._id }, { $set: { population } });
    const acknowledged = performance.now();
    await untilVisible(pool, table, probed._id, population);
    changes.latenciesMs.push(performance.now() - acknowledged);
    changes.updates++;
  }
}

async function untilVisible(pool: Pool, table: string, id: number, population: number): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { rows } = await pool.query<{ population: string }>(`SELECT population FROM ${table} WHERE _id = $1`, [id]);
    if (Number(rows[0]?.population) === population) return;
    if (Date.now() > deadline) throw new Error("a live update was not visible within 30 s");
  }
}
