// Kafka's simple types, as they are before the flexible versions of KIP-482 (https://kafka.apache.org/protocol).
import { HeadraceError } from "../../errors/error.ts";

export function int8(value: number): Buffer {
  return Buffer.from([value]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function string(text: string | null): Buffer {
  if (text === null) return int16(-1);
  const bytes = Buffer.from(text);
  return Buffer.concat([int16(bytes.length), bytes]);
}

export function array<T>(items: readonly T[], encode: (item: T) => Buffer): Buffer {
  return Buffer.concat([int32(items.length), ...items.map(encode)]);
}

/** Reads a response, one value after the other. @throws HeadraceError KAFKA_RESPONSE_UNREADABLE at the end */
export class ResponseReader {
  readonly #name: string;
  readonly #bytes: Buffer;
  #at = 0;

  /** @param name of the request, for errors */
  constructor(name: string, bytes: Buffer) {
    this.#name = name;
    this.#bytes = bytes;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#advance(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#advance(8));
  }

  /** Empty where it is null. */
  string(): string {
    return String(this.#take(this.int16()));
  }

  /** Empty where they are null. */
  bytes(): Buffer {
    return this.#take(this.int32());
  }

  /** Empty where it is null. */
  array<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(this.int32(), 0) }, read);
  }

  #take(length: number): Buffer {
    const start = this.#advance(Math.max(length, 0));
    return this.#bytes.subarray(start, this.#at);
  }

  /** @returns the place before the bytes that were skipped */
  #advance(count: number): number {
    const start = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) throw endsEarly(this.#name);
    return start;
  }
}

function endsEarly(name: string): HeadraceError {
  return new HeadraceError("KAFKA_RESPONSE_UNREADABLE", {
    message: `A ${name} response, which ends in the middle of a value, cannot be decoded.`,
  });
}
