const HEADER_BYTES = 8;
const LENGTH_AT = 4;

/** The text of a container's log. Docker sends it in frames: stream (1 byte), zeros (3), length (4), text. */
export function textOf(frames: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= frames.length;) {
    const begin = at + HEADER_BYTES;
    at = begin + frames.readUInt32BE(at + LENGTH_AT);
    parts.push(frames.subarray(begin, at));
  }
  return Buffer.concat(parts).toString("utf8");
}
