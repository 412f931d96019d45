import { expect, test } from "vitest";
import { textOf } from "../../../../dev/stack/docker/container-log.ts";

function frame(stream: 1 | 2, bytes: Buffer): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

test("joins the text of all frames, even if a frame ends within a character", () => {
  const line = Buffer.from("größer\n");
  const frames = [frame(1, Buffer.from("first\n")), frame(2, line.subarray(0, 3)), frame(2, line.subarray(3))];
  expect(textOf(Buffer.concat(frames))).toBe("first\ngrößer\n");
});

test("an empty log has no text", () => {
  expect(textOf(Buffer.alloc(0))).toBe("");
});
