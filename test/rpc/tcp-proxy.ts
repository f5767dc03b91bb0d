/** A TCP proxy on a free port whose connections can be cut or held, and which can be turned elsewhere. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface TcpProxy {
  address: string;
  /** Cuts every connection; new ones go to the target, or nowhere when there is none. */
  cut(target?: string): void;
  /** Passes nothing on, of new connections neither, until the next `cut`: as a host that hangs. */
  hold(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(firstTarget: string): Promise<TcpProxy> {
  let target: string | undefined = firstTarget;
  let isHeld = false;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((inbound) => {
    keep(inbound);
    if (isHeld) return;
    if (target === undefined) return inbound.destroy();
    const [host = "", port] = target.split(":");
    const outbound = keep(connect(Number(port), host));
    inbound.on("close", () => outbound.destroy());
    outbound.on("close", () => inbound.destroy());
    inbound.pipe(outbound).pipe(inbound);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (next?: string) => {
    target = next;
    isHeld = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    hold: () => {
      isHeld = true;
      for (const socket of sockets) socket.unpipe();
    },
    close: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
