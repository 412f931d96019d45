import { Decimal128, Double, Int32, Long, ObjectId } from "mongodb";
import type { Document } from "mongodb";
import { pick, seededRandom } from "../test/support/random.ts";

/** The product document of the bench: 14 fields, about 534 bytes of BSON. The same number gives the same document. */
export function product(number: number): Document {
  const random = seededRandom(number);
  const words = (count: number): string => Array.from({ length: count }, () => pick(random, WORDS)).join(" ");
  return {
    _id: objectId(number),
    sku: `SKU-${String(number).padStart(9, "0")}`,
    title: words(4),
    description: words(40).slice(0, 200),
    price: Decimal128.fromString((random() * 1_000).toFixed(2)),
    stock: new Int32(Math.floor(random() * 10_000)),
    rating: new Double(Math.round(random() * 50) / 10),
    active: random() < 0.9,
    categoryId: objectId(10_000_000 + Math.floor(random() * 200)),
    sellerId: Long.fromNumber(Math.floor(random() * 50_000)),
    tags: [pick(random, WORDS), pick(random, WORDS), pick(random, WORDS)],
    dims: { w: new Double(random() * 100), h: new Double(random() * 100), d: new Double(random() * 100) },
    createdAt: new Date(1_600_000_000_000 + Math.floor(random() * 1e11)),
    updatedAt: new Date(1_700_000_000_000 + Math.floor(random() * 1e10)),
  };
}

/** Its columns in the config. */
export const PRODUCT_COLUMNS = {
  sku: "text",
  title: "text",
  description: "text",
  price: "numeric",
  stock: "integer",
  rating: "double precision",
  active: "boolean",
  categoryId: "text",
  sellerId: "bigint",
  tags: "text[]",
  dims: "jsonb",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
} as const;

/** A higher number gives a higher id. */
export function objectId(number: number): ObjectId {
  return new ObjectId(`65f0c0ff${number.toString(16).padStart(16, "0")}`);
}

const WORDS =
  "amber basket cable drawer engine fabric garden handle island jacket kettle ladder magnet needle orange pepper quartz ribbon saddle timber".split(
    " ",
  );
