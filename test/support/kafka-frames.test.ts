import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameSplitter } from "./frame-splitter.ts";
import { KAFKA_FRAME, replacePort, requestHead, responseCorrelationId } from "./kafka-frames.ts";

function frameOf(body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

test("frames come out whole however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      (bodies, sizes) => {
        const frames = bodies.map(frameOf);
        const bytes = Buffer.concat(frames);
        const splitter = new FrameSplitter(KAFKA_FRAME);
        const found: Buffer[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value;
          found.push(...splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(found).toEqual(frames);
      },
    ),
  );
});

test("a frame comes out as soon as its last byte is there", () => {
  const splitter = new FrameSplitter(KAFKA_FRAME);
  const frame = frameOf(Buffer.from("abc"));
  expect(splitter.push(frame.subarray(0, 6))).toEqual([]);
  expect(splitter.push(frame.subarray(6))).toEqual([frame]);
});

test("heads are read where Kafka's protocol puts them", () => {
  // size 8, Produce (0) version 7, correlation id 258
  expect(requestHead(Buffer.from("00000008000000070000 0102".replace(" ", ""), "hex"))).toEqual({
    apiKey: 0,
    correlationId: 258,
  });
  expect(responseCorrelationId(Buffer.from("0000000400000102", "hex"))).toBe(258);
});

test("every occurrence of the address gets the new port, and no other bytes change", () => {
  const address = (port: string): string => `0009${Buffer.from("127.0.0.1").toString("hex")}${port}`;
  const frame = Buffer.from(`00000001${address("00002384")}ffff${address("00002385")}${address("00002384")}`, "hex");
  expect(replacePort(frame, "127.0.0.1", 0x2384, 0xabcd)).toBe(2);
  expect(frame.toString("hex")).toBe(`00000001${address("0000abcd")}ffff${address("00002385")}${address("0000abcd")}`);
});
