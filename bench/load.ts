import { setTimeout as sleep } from "node:timers/promises";
import type { Collection, Document } from "mongodb";
import { seededRandom } from "../test/support/random.ts";
import { objectId } from "./product.ts";

const BATCH_DOCUMENTS = 2_000;
const BATCH_BYTES = 16 * 1024 * 1024;

/** Inserts the documents `make(0)` to `make(count - 1)`. */
export async function load(
  collection: Collection,
  count: number,
  make: (number: number) => Document,
  bytesEach = 600,
): Promise<void> {
  const size = Math.max(1, Math.min(BATCH_DOCUMENTS, Math.floor(BATCH_BYTES / bytesEach)));
  for (let from = 0; from < count; from += size) {
    const documents = Array.from({ length: Math.min(size, count - from) }, (_, index) => make(from + index));
    await collection.insertMany(documents, { ordered: false });
  }
}

/**
 * Updates random documents at a steady rate until a time of `performance.now()`.
 * @param among the numbers of the documents: from the first to before the second
 * @returns how many were updated
 */
export async function update(
  collection: Collection,
  [first, end]: readonly [number, number],
  { rate, until }: { readonly rate: number; readonly until: number },
): Promise<number> {
  const random = seededRandom(rate);
  const began = performance.now();
  let made = 0;
  while (performance.now() < until) {
    const due = Math.floor(((performance.now() - began) / 1_000) * rate) - made;
    const updates = Array.from({ length: due }, () => {
      const _id = objectId(first + Math.floor(random() * (end - first)));
      return collection.updateOne({ _id }, { $inc: { stock: 1 } });
    });
    made += due;
    await Promise.all([...updates, sleep(5)]);
  }
  return made;
}
