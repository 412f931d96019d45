import type { IHeaders, Message } from "kafkajs";
import { copyBytes } from "../../schemas/formats/bytes.ts";

const INITIAL_BYTES = 256 * 1024;
/** The largest buffer that is kept for the next batch. Only a single huge record makes a batch larger. */
const KEPT_BYTES = 2 * 1024 * 1024;
/** The most bytes that the length in front of a record can take. */
const LENGTH_BYTES = 5;

type Header = readonly [name: Buffer, value: Buffer | null];

const NO_HEADERS: readonly Header[] = [];

/** Writes Kafka's records (https://kafka.apache.org/documentation/#record) one after the other into a buffer of its own. */
export class RecordWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #length = 0;

  /** The records written since the last `reset`, which makes these bytes invalid. */
  get records(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Empties the buffer, and makes it small again after a huge record. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  write(message: Message, offsetDelta: number, timestampDelta: number): void {
    const key = toBytes(message.key);
    const value = toBytes(message.value);
    const headers = message.headers === undefined ? NO_HEADERS : toHeaders(message.headers);
    let size = 1 + varintSize(timestampDelta) + varintSize(offsetDelta) + bytesSize(key) + bytesSize(value);
    size += varintSize(headers.length);
    for (const [name, text] of headers) size += bytesSize(name) + bytesSize(text);
    this.#ensure(LENGTH_BYTES + size);
    this.#writeVarint(size);
    // Attributes: Kafka defines none yet.
    this.#bytes[this.#length++] = 0;
    this.#writeVarint(timestampDelta);
    this.#writeVarint(offsetDelta);
    this.#writeBytes(key);
    this.#writeBytes(value);
    this.#writeVarint(headers.length);
    for (const [name, text] of headers) {
      this.#writeBytes(name);
      this.#writeBytes(text);
    }
  }

  #ensure(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  #writeBytes(bytes: Buffer | null): void {
    this.#writeVarint(bytes?.length ?? -1);
    if (bytes === null) return;
    copyBytes(bytes, 0, bytes.length, this.#bytes, this.#length);
    this.#length += bytes.length;
  }

  /** @param value an integer that a double holds exactly */
  #writeVarint(value: number): void {
    let rest = zigzag(value);
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }
}

function toBytes(value: Buffer | string | null | undefined): Buffer | null {
  return typeof value === "string" ? Buffer.from(value) : (value ?? null);
}

/** A name with several values becomes several headers. */
function toHeaders(headers: IHeaders): readonly Header[] {
  return Object.entries(headers).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => [Buffer.from(name), toBytes(value)] as const),
  );
}

function bytesSize(bytes: Buffer | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}
