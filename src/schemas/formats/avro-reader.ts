const NOTHING = Buffer.alloc(0);
/** Numbers of 54 bits and more are not exact as a double. */
const SAFE_HIGH = 0x200000;
/** To put a bigint together without arithmetic on it. */
const HALVES = new DataView(new ArrayBuffer(8));

/**
 * A place in Avro's binary encoding. Whatever it reads it finds within the bytes that it was given.
 * @throws TypeError from every method, where the bytes are not what is to be read
 */
export class AvroReader {
  bytes: Buffer = NOTHING;
  position = 0;
  /** Of the long that was read last: its upper and lower 32 bits, both signed. */
  high = 0;
  low = 0;

  begin(bytes: Buffer, start: number): void {
    this.bytes = bytes;
    this.position = start;
  }

  /** Lets go of the bytes: they are part of all that was fetched at once. */
  end(): void {
    if (this.position !== this.bytes.length) throw new TypeError("the bytes go on after the value");
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
      if (shift === 63 && byte > 1) throw new TypeError("a long of more than 64 bits");
      if (byte < 0x80) break;
    }
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  /** Whether `number` is the long that was read last, exactly. */
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

  /** Of bytes, a string, or what takes a byte at least each: never more than there are left. */
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
    if (length < 0) throw new TypeError("a negative length");
    this.#check(length);
    return length;
  }

  /** How many items the next block of an array or a map has; 0 at its end. Each item must take a byte at least. */
  readBlock(): number {
    this.readLong();
    let count = this.number;
    if (count < 0) {
      count = -count;
      // The block's length, of use only to who skips it.
      this.readLong();
    }
    this.#check(count);
    return count;
  }

  /** The branch of a union of `count`. */
  readBranch(count: number): number {
    const byte = this.readByte();
    const branch = byte >>> 1;
    if (byte >= 0x80 || (byte & 1) === 1 || branch >= count) throw new TypeError("no branch of the union");
    return branch;
  }

  readBoolean(): boolean {
    const byte = this.readByte();
    if (byte > 1) throw new TypeError("no boolean");
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
  return new TypeError("the bytes end within the value");
}
