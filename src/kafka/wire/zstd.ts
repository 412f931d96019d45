import { promisify } from "node:util";
import { zstdCompress, zstdDecompress, constants } from "node:zlib";
import kafkajs from "kafkajs";

const zstd = promisify(zstdCompress);
const unzstd = promisify(zstdDecompress);

/**
 * A fetch is limited by compressed bytes, and kafkajs decompresses all of it at once: without a limit to the ratio, a
 * fetch of 1 MB could take gigabytes of memory. Usual documents are at 3 to 8.
 */
const MOST_RATIO = 16;

const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };
/** The largest part of the input that its compressed form usually is, and the least that zlib takes. */
const USUAL_SHARE = 1 / 3;
const LEAST_CHUNK_BYTES = 64;
/** Of what is decompressed. Node's own 16 KB cost the consumer an eighth of its time. */
const MOST_CHUNK_BYTES = 256 * 1024;
const USUAL_RATIO = 8;

/** Readers of zstd pass over such a frame. https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.2 */
const SKIPPABLE_FRAME = 0x184d2a50;
const SKIPPABLE_HEADER_BYTES = 8;

/** zstd as kafkajs takes a codec; it brings none itself. Level 1 costs half the CPU time of no compression at all. */
export const zstdCodec = { compress, decompress };

async function compress({ buffer }: { readonly buffer: Buffer }): Promise<Buffer> {
  // By default every 16 KB of output are a piece of work of their own, which costs a fifth more.
  const chunkSize = Math.max(LEAST_CHUNK_BYTES, Math.ceil(buffer.byteLength * USUAL_SHARE));
  const compressed = await zstd(buffer, { params: LEVEL, chunkSize });
  const missing = Math.ceil(buffer.byteLength / MOST_RATIO) - compressed.byteLength;
  return missing <= 0 ? compressed : Buffer.concat([compressed, padding(missing)]);
}

function decompress(buffer: Buffer): Promise<Buffer> {
  const usualBytes = USUAL_RATIO * buffer.byteLength;
  return unzstd(buffer, { chunkSize: Math.min(MOST_CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, usualBytes)) });
}

/** @param bytes at least so many */
function padding(bytes: number): Buffer {
  const frame = Buffer.alloc(Math.max(bytes, SKIPPABLE_HEADER_BYTES));
  frame.writeUInt32LE(SKIPPABLE_FRAME, 0);
  frame.writeUInt32LE(frame.byteLength - SKIPPABLE_HEADER_BYTES, 4);
  return frame;
}

// kafkajs has some of its exports only where Node does not see them by name.
const { CompressionCodecs, CompressionTypes } = kafkajs;

/** The producer writes zstd, which kafkajs cannot read by itself. Its list of codecs is global. */
export function registerZstd(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec;
}
