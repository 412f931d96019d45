import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameSplitter } from "../../../src/kafka/wire/frame-splitter.ts";
import { KAFKA_FRAME } from "../../../src/kafka/wire/socket.ts";

function frameOf(body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

test("frames are returned whole, wherever the bytes are cut", () => {
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

test("a frame is returned with its last byte", () => {
  const splitter = new FrameSplitter(KAFKA_FRAME);
  const frame = frameOf(Buffer.from("abc"));
  expect(splitter.push(frame.subarray(0, 6))).toEqual([]);
  expect(splitter.push(frame.subarray(6))).toEqual([frame]);
});
