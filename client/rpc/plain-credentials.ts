/** Credentials for a channel in plain text that leaves no silent socket behind when it is closed. */
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import { SilentSockets } from "./silent-sockets.js";

export class PlainCredentials extends ChannelCredentials {
  override _isSecure(): boolean {
    return false;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    ...[, , callCredentials]: Parameters<ChannelCredentials["_createSecureConnector"]>
  ): ReturnType<ChannelCredentials["_createSecureConnector"]> {
    const sockets = new SilentSockets();
    return {
      connect: (socket) => {
        sockets.note(socket);
        return Promise.resolve({ socket, secure: false });
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy: () => sockets.destroy(),
    };
  }
}
