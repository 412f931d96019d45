/** The header of a request frame. */
export function requestHead(frame: Buffer): { readonly apiKey: number; readonly correlationId: number } {
  return { apiKey: frame.readInt16BE(4), correlationId: frame.readInt32BE(8) };
}

/** The correlation id of a response frame. */
export function responseCorrelationId(frame: Buffer): number {
  return frame.readInt32BE(4);
}

/**
 * Replaces the port of an address everywhere in a response, in place. An address is the host as text and the port as
 * int32, so no size changes. A topic's name cannot look like an address, because it has no zero bytes. Returns the count.
 */
export function replacePort(frame: Buffer, host: string, from: number, to: number): number {
  const address = Buffer.alloc(host.length + 4);
  address.write(host, "latin1");
  address.writeInt32BE(from, host.length);
  let count = 0;
  for (let at = frame.indexOf(address); at !== -1; at = frame.indexOf(address, at + address.length)) {
    frame.writeInt32BE(to, at + host.length);
    count++;
  }
  return count;
}
