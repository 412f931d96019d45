import Table from "cli-table3";
import type { Demo } from "./demo.ts";
import { say } from "./output.ts";

/** Queries on the replicated tables. */
const examples = (schema: string): string[] => [
  `SELECT country, count(*) AS cities, sum(population) AS people
FROM ${schema}.cities GROUP BY country ORDER BY people DESC LIMIT 3`,
  `SELECT doc->'properties'->>'place' AS earthquake, doc->'properties'->>'mag' AS magnitude,
       near.name AS nearest_city, round(near.km::numeric, 1) AS km
FROM (SELECT doc, (doc #>> '{geometry,coordinates,0}')::float8 AS lon, (doc #>> '{geometry,coordinates,1}')::float8 AS lat
      FROM ${schema}.earthquakes ORDER BY (doc->'properties'->>'mag')::numeric DESC NULLS LAST, _id LIMIT 3) AS quake
CROSS JOIN LATERAL (
  SELECT name, 6371 * 2 * asin(sqrt(sin(radians(lon_lat[2] - lat) / 2) ^ 2
           + cos(radians(lat)) * cos(radians(lon_lat[2])) * sin(radians(lon_lat[1] - lon) / 2) ^ 2)) AS km
  FROM ${schema}.cities WHERE population > 50000 ORDER BY km LIMIT 1) AS near`,
  `SELECT coalesce("Title", _extra->'Title'->>'$numberInt') AS title, "IMDB Rating" AS rating, "US Gross" AS us_gross
FROM ${schema}.movies WHERE _extra ? 'Title' ORDER BY "US Gross" DESC LIMIT 3`,
];

export async function showQueries({ target, name }: Pick<Demo, "target" | "name">): Promise<void> {
  say("\nThe tables are plain PostgreSQL:");
  for (const sql of examples(name)) {
    const { fields, rows } = await target.query<Record<string, unknown>>(sql);
    if (rows.length === 0) throw new Error(`this query should have rows:\n${sql}`);
    const table = new Table({ head: fields.map((field) => field.name), style: { head: [], border: [] } });
    table.push(...rows.map((row) => fields.map((field) => String(row[field.name]))));
    say(`\n${sql};\n${table.toString()}`);
  }
}
