import kafkajs from "kafkajs";
import { zstdCodec } from "./zstd.ts";

// kafkajs has some of its exports only where Node does not see them by name.
const { CompressionCodecs, CompressionTypes } = kafkajs;

/** The producer writes zstd, which kafkajs cannot read by itself. Its list of codecs is global. */
export function registerZstd(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec;
}
