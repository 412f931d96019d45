import * as fc from "fast-check";
import { expect, it } from "vitest";
import { appendJsonString } from "../../../src/schemas/encoding/json-string.ts";
import { AvroWriter } from "../../../src/schemas/formats/avro-writer.ts";

const out = new AvroWriter();

function jsonString(utf8: Buffer): string {
  appendJsonString(out, utf8, 0, utf8.length);
  return out.take().toString();
}

it("writes text as JavaScript does", () => {
  const controls = fc.string({
    unit: fc.constantFrom(...Array.from({ length: 0x7f }, (_, code) => String.fromCharCode(code + 1))),
  });
  fc.assert(
    fc.property(fc.oneof(controls, fc.string({ unit: "binary" })), (text) => {
      const stored = text.toWellFormed().replaceAll("\0", "");
      expect(jsonString(Buffer.from(stored))).toBe(JSON.stringify(stored));
    }),
    { numRuns: 1000 },
  );
});

it("replaces what is not UTF-8 as JavaScript does", () => {
  fc.assert(
    fc.property(fc.uint8Array({ min: 1 }), (bytes) => {
      expect(JSON.parse(jsonString(Buffer.from(bytes)))).toBe(Buffer.from(bytes).toString());
    }),
    { numRuns: 3000 },
  );
});
