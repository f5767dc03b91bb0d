/** A gRPC client on node:http2 that can send invalid and unfinished requests. */
import { connect, constants } from "node:http2";
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  Settings,
} from "node:http2";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

export interface RawStatus {
  code: number;
  message: string;
}

export const pathOf = (method: string) => `/${AggregatorService.typeName}/${method}`;

/** Puts gRPC's header before a message. A test may pass a `length` that is wrong. */
export function frame(message: Uint8Array, length = message.length): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}

export class RawCall {
  /** The gRPC status, from headers or trailers. Rejects when the stream closes without one. */
  readonly status: Promise<RawStatus>;

  constructor(readonly stream: ClientHttp2Stream) {
    this.status = new Promise((resolve, reject) => {
      const look = (headers: IncomingHttpHeaders) => {
        const code = headers["grpc-status"];
        const message = decodeURIComponent(String(headers["grpc-message"] ?? ""));
        if (code !== undefined) resolve({ code: Number(code), message });
      };
      stream.on("response", look).on("trailers", look).on("error", reject);
      stream.on("close", () => reject(new Error("closed without a status")));
    });
    // A rejection must not fail a test that does not await the status.
    this.status.catch(() => undefined);
  }

  /** Sends bytes as they are, and leaves the request open. */
  send(bytes: Uint8Array): this {
    this.stream.write(bytes);
    return this;
  }

  /** Ends the request, after `bytes` if given, and resolves with the status of the answer. */
  end(bytes?: Uint8Array): Promise<RawStatus> {
    if (bytes === undefined) this.stream.end();
    else this.stream.end(bytes);
    this.stream.resume();
    return this.status;
  }
}

export class RawClient {
  readonly session: ClientHttp2Session;

  constructor(address: string, settings: Settings = {}) {
    this.session = connect(`http://${address}`, { settings });
    // Each call reports its own failure.
    this.session.on("error", () => undefined);
  }

  call(method: string, headers: Record<string, string> = {}): RawCall {
    const stream = this.session.request(
      {
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: method.startsWith("/") ? method : pathOf(method),
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        te: "trailers",
        ...headers,
      },
      { endStream: false },
    );
    return new RawCall(stream);
  }

  /** Resolves once the server has received everything that was sent before. */
  ping(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.session.ping((error) => (error === null ? resolve() : reject(error)));
    });
  }

  close(): void {
    this.session.destroy();
  }
}
