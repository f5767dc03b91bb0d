/**
 * A request's body on its way to connect: held to its method's limit, and its share of memory
 * shrunk once it is whole. It fails without closing the connection, so that the caller reads why.
 */
import { Transform } from "node:stream";
import type { TransformCallback } from "node:stream";
import { Refusal } from "../errors.js";
import type { MemoryShare } from "../memory-budget.js";
import { connectErrorOf } from "./status.js";

/** gRPC puts a flag and the length before a message. */
const FRAME_HEADER_BYTES = 5;

export class RequestBody extends Transform {
  private bytes = 0;

  constructor(
    private readonly bytesMax: number,
    private readonly share: MemoryShare,
  ) {
    super();
    // Whoever reads gets the error; there may be nobody yet, or any more.
    this.on("error", () => undefined);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    const isWithin = this.bytes <= this.bytesMax + FRAME_HEADER_BYTES;
    if (isWithin) done(null, chunk);
    else done(connectErrorOf(tooLarge(this.bytesMax)));
  }

  override _flush(done: TransformCallback): void {
    this.share.resize(this.bytes);
    done();
  }
}

function tooLarge(bytesMax: number): Refusal {
  return new Refusal("resource_exhausted", "", `the request is larger than ${bytesMax} bytes`);
}
