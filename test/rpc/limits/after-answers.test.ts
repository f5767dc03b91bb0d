/** What follows an answer on its connection: a reset, the next call, or nothing at all. */
import { afterEach, expect, test } from "vitest";
import { startBareServer } from "../../../tools/harness/bare-server.js";
import type { BareOptions, BareServer } from "../../../tools/harness/bare-server.js";
import { frame as grpcFrame, pathOf } from "../../../tools/harness/raw-grpc.js";
import {
  callHeaders,
  FLAG,
  FRAME,
  frame,
  headersFrame,
  RawConnection,
  settings,
} from "../../../tools/harness/raw-http2.js";

const EMPTY = grpcFrame(new Uint8Array());

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(options: BareOptions): Promise<BareServer> {
  const server = await startBareServer(options);
  closers.push(() => server.close());
  return server;
}

test("on HTTP/2 only a caller that still sends is reset, after the answer's end", async () => {
  // Everybody is denied, before a request is read.
  const { address, memory } = await start({ policy: { principals: [] } });
  const connection = await RawConnection.open(address);
  closers.push(() => connection.close());
  const headers = callHeaders(pathOf("GetServerInfo"), {
    "content-type": "application/grpc-web+proto",
  });
  const [whole, unfinished] = [connection.stream(), connection.stream()];
  await connection.write(
    settings(),
    headersFrame(whole, headers),
    frame(FRAME.DATA, FLAG.END_STREAM, whole, EMPTY),
    headersFrame(unfinished, headers),
  );
  await expect.poll(() => connection.streamEnds.get(unfinished)).toEqual(["last frame", "reset"]);
  expect(connection.streamEnds.get(whole)).toEqual(["last frame"]);
  await memory.reaches(0);
});
