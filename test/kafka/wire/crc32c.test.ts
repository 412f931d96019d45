import { expect, test } from "vitest";
import { crc32c } from "../../../src/kafka/wire/crc32c.ts";

// RFC 3720, appendix B.4.
test.each([
  ["zeros", Buffer.alloc(32, 0), 0x8a9136aa],
  ["ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["rising", Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
  ["falling", Buffer.from(Array.from({ length: 32 }, (_, at) => 31 - at)), 0x113fdb5c],
  ["nothing", Buffer.alloc(0), 0],
])("the checksum is that of the standard: %s", (_name, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test("a checksum can be continued at any byte", () => {
  const bytes = Buffer.from("The checksum of Kafka's record batches");
  for (let at = 0; at <= bytes.length; at++) {
    expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(crc32c(bytes));
  }
});
