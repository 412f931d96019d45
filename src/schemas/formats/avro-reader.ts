const NOTHING = Buffer.alloc(0);
/** A double holds integers of up to 53 bits exactly. */
const SAFE_HIGH = 0x200000;
/** Combines a bigint from two halves without bigint arithmetic. */
const HALVES = new DataView(new ArrayBuffer(8));

/**
 * A position in Avro's binary encoding. Never reads beyond the end of the bytes.
 * @throws TypeError from every method if the bytes do not have the expected form
 */
export class AvroReader {
  bytes: Buffer = NOTHING;
  position = 0;
  /** The upper and lower 32 bits, both signed, of the long that was read last. */
  high = 0;
  low = 0;

  begin(bytes: Buffer, start: number): void {
    this.bytes = bytes;
    this.position = start;
  }

  /** Checks that all bytes were read. Drops the reference to them, because it keeps a whole fetched batch in memory. */
  end(): void {
    if (this.position !== this.bytes.length) throw new TypeError("there are more bytes after the value");
    this.begin(NOTHING, 0);
  }

  readByte(): number {
    if (this.position >= this.bytes.length) throw cutOff();
    return this.bytes[this.position++] as number;
  }

  readLong(): void {
    let high = 0;
    let low = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.readByte();
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high = bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (shift === 63 && byte > 1) throw new TypeError("a long has more than 64 bits");
      if (byte < 0x80) break;
    }
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  /** Whether `number` is exactly the long that was read last. */
  get isSafe(): boolean {
    return this.high >= -SAFE_HIGH && this.high < SAFE_HIGH;
  }

  get number(): number {
    return this.high * 0x100000000 + (this.low >>> 0);
  }

  get bigint(): bigint {
    HALVES.setInt32(0, this.high);
    HALVES.setInt32(4, this.low);
    return HALVES.getBigInt64(0);
  }

  /**
   * Reads the length of bytes or of a string, or a count of items of at least one byte. Never more than the remaining
   * bytes.
   */
  readLength(): number {
    const byte = this.readByte();
    let length = byte >>> 1;
    if (byte >= 0x80) {
      this.position--;
      this.readLong();
      length = this.number;
    } else if ((byte & 1) === 1) {
      length = -length - 1;
    }
    if (length < 0) throw new TypeError("a length is negative");
    this.#check(length);
    return length;
  }

  /** Reads the count of items in the next block of an array or map; 0 at its end. Each item has at least one byte. */
  readBlock(): number {
    this.readLong();
    let count = this.number;
    if (count < 0) {
      count = -count;
      // The block's length in bytes, which only helps to skip the block.
      this.readLong();
    }
    this.#check(count);
    return count;
  }

  /** Reads the branch of a union that has `count` branches. */
  readBranch(count: number): number {
    const byte = this.readByte();
    const branch = byte >>> 1;
    if (byte >= 0x80 || (byte & 1) === 1 || branch >= count) throw new TypeError("a union does not have this branch");
    return branch;
  }

  readBoolean(): boolean {
    const byte = this.readByte();
    if (byte > 1) throw new TypeError("a boolean is neither true nor false");
    return byte === 1;
  }

  readDouble(): number {
    this.skip(8);
    return this.bytes.readDoubleLE(this.position - 8);
  }

  skip(length: number): void {
    this.#check(length);
    this.position += length;
  }

  #check(length: number): void {
    if (length > this.bytes.length - this.position) throw cutOff();
  }
}

function cutOff(): TypeError {
  return new TypeError("the bytes end inside a value");
}
