/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
/** Eight tables of 256 entries, to take eight bytes at a time. */
const TABLES = tables();

function tables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] as number;
    tables[at] = (tables[before & 0xff] as number) ^ (before >>> 8);
  }
  return tables;
}

/**
 * The checksum of Kafka's record batches (CRC-32C, RFC 3720), which node:zlib does not have.
 * @param before the checksum of the bytes in front of these
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  let at = 0;
  for (const last = bytes.length - 8; at <= last; at += 8) {
    crc ^=
      byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24);
    crc =
      (TABLES[0x700 + (crc & 0xff)] as number) ^
      (TABLES[0x600 + ((crc >>> 8) & 0xff)] as number) ^
      (TABLES[0x500 + ((crc >>> 16) & 0xff)] as number) ^
      (TABLES[0x400 + (crc >>> 24)] as number) ^
      (TABLES[0x300 + byteAt(bytes, at + 4)] as number) ^
      (TABLES[0x200 + byteAt(bytes, at + 5)] as number) ^
      (TABLES[0x100 + byteAt(bytes, at + 6)] as number) ^
      (TABLES[byteAt(bytes, at + 7)] as number);
  }
  for (; at < bytes.length; at++) crc = (TABLES[(crc ^ byteAt(bytes, at)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}
