/**
 * Credentials of which a closed channel leaves no silent socket behind. grpc-js waits for a server's first
 * frame without a limit, and forgets the socket when the channel is closed meanwhile: a service that is
 * frozen, or a balancer without one, would take a descriptor of the node for each attempt.
 */
import type { Socket } from "node:net";
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";

export abstract class SocketCredentials extends ChannelCredentials {
  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  /** The socket for gRPC over this one, such as after a TLS handshake. */
  protected abstract over(socket: Socket): Promise<Socket>;

  override _createSecureConnector(
    ...[, , callCredentials]: Parameters<ChannelCredentials["_createSecureConnector"]>
  ): ReturnType<ChannelCredentials["_createSecureConnector"]> {
    const silent = new SilentSockets();
    return {
      connect: async (socket) => {
        silent.note(socket);
        const own = await this.over(socket);
        silent.note(socket);
        return { socket: own, secure: this._isSecure() };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy: () => silent.destroy(),
    };
  }
}

/** Credentials for plain text. */
export class PlainCredentials extends SocketCredentials {
  override _isSecure(): boolean {
    return false;
  }

  protected override over(socket: Socket): Promise<Socket> {
    return Promise.resolve(socket);
  }
}

/** The sockets of a channel on which the server has not said anything. */
class SilentSockets {
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
