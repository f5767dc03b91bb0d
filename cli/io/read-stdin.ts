/** Reads standard input to its end, which a device such as /dev/zero does not have. */
import type { Readable } from "node:stream";

/** Rejects with the system's error, or when there are more than `bytesMax`. */
export async function readStdin(stdin: Readable, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
