/**
 * grpc-js keeps its HTTP/2 servers to itself: looked up by name here and nowhere else, for what it
 * has no option for. A new version that hides them does not start.
 */
import type { Http2Server } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** The one behind the address or injector that was added last. */
export function newestHttp2Server(server: Server): Http2Server {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2Server, unknown> };
  const newest = [...(http2Servers?.keys() ?? [])].at(-1);
  if (newest === undefined) throw new Error("this grpc-js has its HTTP/2 servers elsewhere");
  return newest;
}
