import { zstdCompress, zstdDecompress, constants } from "node:zlib";
import { promisify } from "node:util";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** zstd as kafkajs takes a codec; it brings none itself. Level 1 costs half the CPU time of no compression at all. */
export const zstdCodec = {
  compress: ({ buffer }: { readonly buffer: Buffer }): Promise<Buffer> =>
    compress(buffer, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  decompress: (buffer: Buffer): Promise<Buffer> => decompress(buffer),
};
