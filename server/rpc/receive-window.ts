/**
 * How much a client may send before it waits for us. Node's HTTP/2 allows 64 KiB, and grpc-js has an
 * option for its client only (grpc/grpc-node pull request 3058 is for the server), so a 1 MB
 * snapshot would wait for 16 round trips. Its HTTP/2 servers are not public either: looked up by
 * name here and nowhere else; `test/rpc/receive-window.test.ts` fails when a new version hides them.
 */
import type { Http2Server } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** Room for a snapshot of today's networks without a wait; a larger one waits a few times. */
const RECEIVE_WINDOW_BYTES = 1024 * 1024;

/** For connections from now on; may be called again when one more address is bound. */
export function widenReceiveWindow(server: Server): void {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2Server, unknown> };
  for (const http2Server of http2Servers?.keys() ?? []) {
    // The setting is each stream's window, the call the connection's.
    http2Server.updateSettings({ initialWindowSize: RECEIVE_WINDOW_BYTES });
    http2Server.on("session", (session) => session.setLocalWindowSize(RECEIVE_WINDOW_BYTES));
  }
}
