import { CompressionCodecs, CompressionTypes } from "kafkajs";
import { zstdCodec } from "../runtime/zstd-codec.ts";

/** The producer writes zstd, which kafkajs cannot read by itself. Its list of codecs is global. */
export function registerZstd(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec;
}
