/**
 * A TCP proxy that is slow: each direction of a connection delays what passes, and lets through so many
 * bytes a second. It can also change a byte, as broken memory on the way would.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Transform } from "node:stream";

export interface SlowProxyOptions {
  /** Added to each way, in milliseconds. Default: 0. */
  readonly delayMs?: number;
  /** Of each direction of a connection. Default: no limit. */
  readonly bytesPerSecond?: number;
}

export interface SlowProxy {
  readonly port: number;
  /** Changes one byte in the middle of the next piece of at least so many bytes. */
  changeByte(pieceBytesMin: number): void;
  close(): Promise<void>;
}

/** @param target such as `localhost:4222` */
export async function startSlowProxy(
  target: string,
  { delayMs = 0, bytesPerSecond = Infinity }: SlowProxyOptions = {},
): Promise<SlowProxy> {
  const sockets = new Set<Socket>();
  let changedFrom = Infinity;
  const mangled = (piece: Buffer) => {
    if (piece.length < changedFrom) return piece;
    changedFrom = Infinity;
    const at = Math.floor(piece.length / 2);
    const copy = Buffer.from(piece);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  /** Passes each piece on when its time has come; meanwhile it takes no more than it holds. */
  const slow = () => {
    let freeAtMs = 0;
    /** In their order: two timers that are due in one millisecond may fire in the other. */
    const queue: Buffer[] = [];
    return new Transform({
      highWaterMark: 256 * 1024,
      transform(piece: Buffer, _encoding, done) {
        const nowMs = performance.now();
        freeAtMs = Math.max(freeAtMs, nowMs) + (piece.length * 1000) / bytesPerSecond;
        queue.push(mangled(piece));
        setTimeout(() => this.push(queue.shift()), freeAtMs + delayMs - nowMs);
        setTimeout(done, freeAtMs - nowMs);
      },
    });
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    return socket;
  };
  const [host = "", port = ""] = target.split(":");
  const server = createServer((inbound) => {
    keep(inbound);
    const outbound = keep(connect(Number(port), host));
    inbound.on("close", () => outbound.destroy());
    outbound.on("close", () => inbound.destroy());
    inbound.pipe(slow()).pipe(outbound);
    outbound.pipe(slow()).pipe(inbound);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    changeByte: (pieceBytesMin) => (changedFrom = pieceBytesMin),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
