import { Decimal128, Double, Int32, Long, ObjectId, UUID, type Document } from "mongodb";

const COUNT = 200;

function some<T>(make: (n: number) => T): T[] {
  return Array.from({ length: COUNT }, (_, n) => make(n));
}

/** The documents of a generated shop, by collection. */
export const SHOP: Readonly<Record<string, readonly Document[]>> = {
  customers: some((n) => ({
    _id: new ObjectId(),
    fullName: `Customer ${n}`,
    email: `c${n}@shop.example`,
    "Loyalty Points": n % 2 === 0 ? new Int32(n) : new Double(n + 0.5),
    signedUp: `2024-0${(n % 9) + 1}-15T08:00:00Z`,
    birthday: n % 3 === 0 ? null : `1990-01-1${n % 10}`,
    address: { street: `Street ${n}`, city: "Town", geo: { lat: new Double(1.5), lon: new Double(n) } },
    addresses:
      n % 2 === 0
        ? []
        : [
            { kind: "home", city: "Town" },
            { kind: "work", city: "City", floor: new Int32(n) },
          ],
    preferences: { [new ObjectId().toHexString()]: true },
  })),
  orders: some((n) => ({
    _id: new Int32(n),
    customer: new ObjectId(),
    placed: new Date(Date.UTC(2024, 0, 1 + n)),
    total: n % 2 === 0 ? Long.fromNumber(n) : new Double(n + 0.25),
    items: n % 4 === 0 ? [] : [item(n), item(n + 1)],
    payments: [{ method: "card", amount: Decimal128.fromString("9.90") }],
    coupons: n % 10 === 0 ? ["SPRING"] : [],
    notes: [],
  })),
  products: some((n) => ({
    _id: `sku-${n}`,
    price: Decimal128.fromString(`${n}.90`),
    stock: n % 5 === 0 ? new Int32(n) : Decimal128.fromString(String(n)),
    title: n === 7 ? new Int32(300) : `Product ${n}`,
    names: { en: `Product ${n}`, de: `Produkt ${n}` },
    ratings: n % 2 === 0 ? [new Int32(1)] : [new Double(2.5)],
    a: { b: "x" },
    a_b: "y",
    ["long ".repeat(20)]: true,
  })),
  events: some((n) => ({
    _id: new UUID(),
    at: new Date(),
    doc: "reserved",
    value: n % 2 === 0 ? `v${n}` : new Int32(n),
    ...(n % 3 === 0 ? { page: { url: "/" } } : { page: "/" }),
    ...(n % 100 === 0 ? { once: true } : {}),
    ...(n > 100 ? { version: new Int32(2) } : {}),
  })),
  empty: [],
};

function item(n: number): Document {
  return {
    _id: new ObjectId(),
    sku: `sku-${n}`,
    quantity: new Int32(n % 7),
    price: Decimal128.fromString("1.10"),
    taxes: n % 2 === 0 ? [] : [{ name: "VAT", rate: new Double(0.19), steps: [{ from: new Int32(1) }] }],
    tags: n % 3 === 0 ? [] : ["new"],
  };
}
