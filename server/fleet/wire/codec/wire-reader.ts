/**
 * Reads the wire format of protobuf from bytes that are not trusted. A door reads some hundred
 * announcements a second, for which a decoder that walks descriptors takes too long.
 */
import { garbled } from "./fleet-message-error.js";

/** How a value lies on the wire. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Bytes of the longest varint that is read, which is below 2^53, and of the longest skipped. */
const SAFE_BYTES_MAX = 8;
const VARINT_BYTES_MAX = 10;

export class WireReader {
  private at = 0;
  private end: number;
  private readonly view: DataView;
  private readonly buffer: Buffer;

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.end = bytes.length;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** An unsigned number of at most 53 bits. Throws for a larger one. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < SAFE_BYTES_MAX; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : tooLarge();
      scale *= 128;
    }
    return tooLarge();
  }

  double(): number {
    const from = this.take(8);
    return this.view.getFloat64(from, true);
  }

  /** The length of what follows, which is there. */
  private length(): number {
    const length = this.varint();
    if (length > this.end - this.at) garbled("is cut off");
    return length;
  }

  /** A view of the bytes: it shares their memory. */
  bytes(): Uint8Array {
    const length = this.length();
    const from = this.take(length);
    return this.buffer.subarray(from, from + length);
  }

  /** The bytes in hexadecimal. */
  hex(): string {
    const length = this.length();
    const from = this.take(length);
    return this.buffer.toString("hex", from, from + length);
  }

  /** A text in which each byte is a character: what a pattern of ASCII refuses stays refused. */
  latin(): string {
    const length = this.length();
    const from = this.take(length);
    return this.buffer.toString("latin1", from, from + length);
  }

  /** The first `bytesMax` bytes of a text. What is not UTF-8 becomes U+FFFD. */
  text(bytesMax: number): string {
    const length = this.length();
    const from = this.take(length);
    return this.buffer.toString("utf8", from, from + Math.min(length, bytesMax));
  }

  /** Reads what is length-delimited with `read`, for which the rest is not there. */
  within<T>(read: (reader: WireReader) => T): T {
    const length = this.length();
    const { end } = this;
    this.end = this.at + length;
    const value = read(this);
    if (this.at !== this.end) garbled("is cut off");
    this.end = end;
    return value;
  }

  /** Skips the value of a field that is not known. */
  skip(wireType: number): void {
    switch (wireType) {
      case WIRE.varint:
        for (let count = 0; count < VARINT_BYTES_MAX; count++) if (this.byte() < 0x80) return;
        return garbled("has a number without end");
      case WIRE.fixed64:
        this.take(8);
        return;
      case WIRE.bytes:
        this.take(this.length());
        return;
      case WIRE.fixed32:
        this.take(4);
        return;
      default:
        garbled(`has wire type ${wireType}`);
    }
  }

  private byte(): number {
    return this.view.getUint8(this.take(1));
  }

  /** Takes so many bytes, and returns where they begin. */
  private take(count: number): number {
    const from = this.at;
    if (count > this.end - from) garbled("is cut off");
    this.at = from + count;
    return from;
  }
}

function tooLarge(): never {
  return garbled("is 2^53 or more");
}
