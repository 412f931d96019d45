import { Decimal128 } from "mongodb";
import { expect, test } from "vitest";
import { product } from "../../bench/product.ts";
import { runScript } from "../../bench/script-run.ts";
import { withSource } from "../../bench/source.ts";
import { servers } from "../support/servers.ts";

const scripts = ["old-job.mjs", "plain-script.mjs"];

test.each(scripts)("%s copies products, also in a last batch that is not full", async (file) => {
  const source = { documents: 250, make: product };
  const run = await withSource(servers(), source, (db) => runScript(servers(), db, { file, batchRows: 100 }));
  expect(run.rows).toBe(250);
  expect(run.cpuSeconds).toBeGreaterThan(0);
  expect(run.peakMemoryMb).toBeGreaterThan(0);
});

test.each(scripts)("a table that differs from the collection fails the run of %s", async (file) => {
  // MongoDB's $sum leaves out a string, which PostgreSQL takes as the number it holds.
  const make = (number: number) => ({ ...product(number), price: number === 7 ? "5" : Decimal128.fromString("1") });
  const running = withSource(servers(), { documents: 10, make }, (db) =>
    runScript(servers(), db, { file, batchRows: 5 }),
  );
  await expect(running).rejects.toThrow("PostgreSQL has 10 products for 14, MongoDB has 10 products for 9");
});
