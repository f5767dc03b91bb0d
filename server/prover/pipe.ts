/**
 * Messages over the pipe between the service (parent) and a prover process (child), each a frame:
 * its length, and the message as `node:v8` serializes it. Node's own channel is not used: it throws
 * in the reader's event loop when it cannot read a frame, so a backend that writes into the wrong
 * descriptor would end the service. Here such a frame is reported, and reading stops.
 */
import type { Duplex } from "node:stream";
import { deserialize, serialize } from "node:v8";

/** The pipe's descriptor in the child: the first after the standard ones. */
export const PIPE_FD = 3;
/** The length of the rest of the frame, big endian. */
const HEADER_BYTES = 4;

/**
 * Sends one message. A failed write needs no handler: the pipe's end is reported to the reader. Sends
 * nothing, and returns the frame's length, when that is more than `frameBytesMax`.
 */
export function writeMessage(
  pipe: Duplex,
  message: unknown,
  frameBytesMax = Infinity,
): number | undefined {
  const body = serialize(message);
  const frameBytes = HEADER_BYTES + body.length;
  if (frameBytes > frameBytesMax) return frameBytes;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  pipe.cork();
  pipe.write(header);
  pipe.write(body);
  pipe.uncork();
  return undefined;
}

export interface PipeReader {
  onMessage(message: unknown): void;
  /** Called when a frame is not a message; nothing is read after it. */
  onGarbage(why: string): void;
  /** Called when the pipe has closed, by the other end or after an error. */
  onEnd(): void;
}

/** Reads messages. A frame longer than `frameBytesMax`, header included, is reported as garbage. */
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
      // A single chunk is not copied: a chunk full of small frames would be copied for each frame.
      const [first = Buffer.alloc(0)] = held;
      const bytes = held.length === 1 ? first : Buffer.concat(held);
      const frameBytes = HEADER_BYTES + bytes.readUInt32BE();
      if (frameBytes > frameBytesMax) return fail(`a frame of ${frameBytes} bytes`);
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
  // An error means that the other process is ending or gone: the event "close" follows.
  pipe.on("error", () => undefined);
  pipe.on("close", () => reader.onEnd());
}
