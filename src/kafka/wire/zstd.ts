import { promisify } from "node:util";
import { zstdCompress, zstdDecompress, constants } from "node:zlib";
import kafkajs from "kafkajs";

const zstd = promisify(zstdCompress);
const unzstd = promisify(zstdDecompress);

/**
 * The most that a batch may shrink. Kafka limits a Fetch response by its compressed bytes, and kafkajs decompresses all
 * of it at once: without this limit a response of 1 MB could take gigabytes of memory. Usual documents shrink 3 to 8 times.
 */
const MOST_RATIO = 16;

const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };
/** The most that usual input becomes. */
const USUAL_SHARE = 1 / 3;
/** zlib takes no smaller chunk. */
const LEAST_CHUNK_BYTES = 64;
/** Of decompressed bytes. Node's default is 16 KB: see docs/performance.md. */
const MOST_CHUNK_BYTES = 256 * 1024;
const USUAL_RATIO = 8;

/** zstd decoders skip such a frame: https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.2 */
const SKIPPABLE_FRAME = 0x184d2a50;
const SKIPPABLE_HEADER_BYTES = 8;

/** zstd for kafkajs, which has no codec for it. Level 1: see docs/performance.md. */
export const zstdCodec = { compress, decompress };

async function compress({ buffer }: { readonly buffer: Buffer }): Promise<Buffer> {
  // One chunk for all of the output: with Node's default each 16 KB are a separate task (docs/performance.md).
  const chunkSize = Math.max(LEAST_CHUNK_BYTES, Math.ceil(buffer.byteLength * USUAL_SHARE));
  const compressed = await zstd(buffer, { params: LEVEL, chunkSize });
  const missing = Math.ceil(buffer.byteLength / MOST_RATIO) - compressed.byteLength;
  return missing <= 0 ? compressed : Buffer.concat([compressed, padding(missing)]);
}

function decompress(buffer: Buffer): Promise<Buffer> {
  const usualBytes = USUAL_RATIO * buffer.byteLength;
  return unzstd(buffer, { chunkSize: Math.min(MOST_CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, usualBytes)) });
}

/** @param bytes the least size; a frame has 8 at least */
function padding(bytes: number): Buffer {
  const frame = Buffer.alloc(Math.max(bytes, SKIPPABLE_HEADER_BYTES));
  frame.writeUInt32LE(SKIPPABLE_FRAME, 0);
  frame.writeUInt32LE(frame.byteLength - SKIPPABLE_HEADER_BYTES, 4);
  return frame;
}

// Node finds only some of kafkajs's exports by name.
const { CompressionCodecs, CompressionTypes } = kafkajs;

/** Adds zstd to kafkajs's global table of codecs. */
export function registerZstd(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec;
}
