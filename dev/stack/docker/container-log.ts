const HEADER_BYTES = 8;
const LENGTH_AT = 4;

/** The text of a container's log, which the engine gives in frames: stream, three zero bytes, length, bytes. */
export function textOf(frames: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= frames.length;) {
    const begin = at + HEADER_BYTES;
    at = begin + frames.readUInt32BE(at + LENGTH_AT);
    parts.push(frames.subarray(begin, at));
  }
  return Buffer.concat(parts).toString("utf8");
}
