/**
 * The sockets of a channel on which the server has not said anything. grpc-js waits for a server's first
 * frame without a limit, and forgets the socket when the channel is closed meanwhile: a service that is
 * frozen, or a balancer without one, would take a descriptor of the node for each attempt.
 */
import type { Socket } from "node:net";

export class SilentSockets {
  /** For each open socket, how much of what was read of it does not count. */
  private readonly readBytes = new Map<Socket, number>();

  /** Notes a socket; what has been read of it so far, as by a TLS handshake, does not count. */
  note(socket: Socket): void {
    if (!this.readBytes.has(socket)) socket.once("close", () => this.readBytes.delete(socket));
    this.readBytes.set(socket, socket.bytesRead);
  }

  /** Destroys those on which nothing has come since they were noted. */
  destroy(): void {
    for (const [socket, bytes] of this.readBytes) if (socket.bytesRead === bytes) socket.destroy();
  }
}
