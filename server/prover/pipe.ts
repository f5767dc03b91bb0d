/**
 * Messages over the pipe between the service and a prover process. Not Node's own channel: there a
 * frame that cannot be read throws in the reader's event loop, and a backend that writes into the
 * wrong descriptor would end the service. Here it is reported, and nothing more is read.
 */
import type { Duplex } from "node:stream";
import { deserialize, serialize } from "node:v8";

/** The descriptor of the pipe in the prover process: the first after the standard ones. */
export const PIPE_FD = 3;
const HEADER_BYTES = 4;

/** A message that cannot be sent any more needs no handler: the end of the pipe tells. */
export function writeMessage(pipe: Duplex, message: unknown): void {
  const body = serialize(message);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  pipe.cork();
  pipe.write(header);
  pipe.write(body);
  pipe.uncork();
}

export interface PipeReader {
  onMessage(message: unknown): void;
  /** What came is no message; the rest is not read. */
  onGarbage(why: string): void;
  /** The other end is closed. */
  onEnd(): void;
}

/** A frame of more than `frameBytesMax`, its header included, is garbage before it is read. */
export function readMessages(pipe: Duplex, reader: PipeReader, frameBytesMax: number): void {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wantedBytes = HEADER_BYTES;
  const fail = (why: string) => {
    pipe.removeAllListeners("data").pause();
    reader.onGarbage(why);
  };
  pipe.on("data", (chunk: Buffer) => {
    held.push(chunk);
    heldBytes += chunk.length;
    while (heldBytes >= wantedBytes) {
      // Of one piece no copy: a piece full of small frames would be copied once for each.
      const [first = Buffer.alloc(0)] = held;
      const bytes = held.length === 1 ? first : Buffer.concat(held);
      const frameBytes = HEADER_BYTES + bytes.readUInt32BE();
      if (frameBytes > frameBytesMax) return fail(`a frame of ${String(frameBytes)} bytes`);
      wantedBytes = frameBytes;
      held = [bytes];
      if (heldBytes < frameBytes) return;
      held = [bytes.subarray(frameBytes)];
      heldBytes -= frameBytes;
      wantedBytes = HEADER_BYTES;
      let message: unknown;
      try {
        message = deserialize(bytes.subarray(HEADER_BYTES, frameBytes));
      } catch (error) {
        return fail(error instanceof Error ? error.message : String(error));
      }
      reader.onMessage(message);
    }
  });
  // Errors are those of a process that has gone, or is going: "close" follows them.
  pipe.on("error", () => undefined);
  pipe.on("close", () => reader.onEnd());
}
