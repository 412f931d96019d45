import type { Collection, Document } from "mongodb";

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
