/**
 * A typed promise client of `lean.aggregator.v1` over grpc-js: one channel to one address. It
 * holds no policy; retries, failover and the in-flight latch are `TickAggregator`'s.
 */
import type { DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@grpc/grpc-js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { openChannel } from "./channel.js";
import type { ChannelOptions } from "./channel.js";
import { AggregatorError } from "../errors.js";
import type { TokenSource } from "./token.js";
import { checkTokenIsSafe, metadataWith } from "./token.js";

const METHODS = AggregatorService.method;
type Methods = typeof METHODS;
type Input<M extends DescMethod> = MessageInitShape<M["input"]>;
type Output<M extends DescMethod> = MessageShape<M["output"]>;

export interface AggregatorClientOptions extends ChannelOptions {
  /** Default: none. Sent with every call, over TLS, to loopback or to a Unix socket only. */
  token?: TokenSource;
}

export interface CallTimeout {
  /** Time for the whole call, in milliseconds. Default: none. */
  timeoutMs?: number;
  /** Ends the call as `cancelled`. Default: none. */
  signal?: AbortSignal;
}

/**
 * Calls to one address. Every method rejects with `AggregatorError` and nothing else. Requests
 * are plain objects or messages, and must not change until the call has been made.
 */
export class AggregatorClient {
  readonly #client: Client;
  readonly #token: TokenSource | undefined;

  /**
   * Throws `TypeError` when the address or a TLS file cannot be used, or a token would go to another
   * machine in plain text.
   */
  constructor(options: AggregatorClientOptions) {
    const { client, target, isSecure } = openChannel(options);
    this.#client = client;
    this.#token = options.token;
    if (this.#token === undefined) return;
    try {
      checkTokenIsSafe(target, isSecure);
    } catch (cause) {
      client.close();
      throw cause;
    }
  }

  /** Hands over a snapshot. Skipped is an answer, not an error. */
  submitSnapshot(
    request: Input<Methods["submitSnapshot"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["submitSnapshot"]>> {
    return this.#unary(METHODS.submitSnapshot, request, options);
  }

  /** As `submitSnapshot`, of a request that is encoded already. */
  submitEncoded(
    request: Uint8Array,
    options: CallTimeout = {},
  ): Promise<Output<Methods["submitSnapshot"]>> {
    return this.#call(METHODS.submitSnapshot, asBuffer(request), options);
  }

  /** State and outcomes of one session; `not_found` when unknown. */
  getSession(
    request: Input<Methods["getSession"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["getSession"]>> {
    return this.#unary(METHODS.getSession, request, options);
  }

  /** Ends a session, or the groups named. Idempotent. */
  cancelSession(
    request: Input<Methods["cancelSession"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["cancelSession"]>> {
    return this.#unary(METHODS.cancelSession, request, options);
  }

  /** Verifies a proof against exactly the keys given; an invalid proof is an answer. */
  verifyAggregate(
    request: Input<Methods["verifyAggregate"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["verifyAggregate"]>> {
    return this.#unary(METHODS.verifyAggregate, request, options);
  }

  /** Scheme, revision, sizes, limits, devices and learned costs. */
  getServerInfo(
    request: Input<Methods["getServerInfo"]> = {},
    options: CallTimeout = {},
  ): Promise<Output<Methods["getServerInfo"]>> {
    return this.#unary(METHODS.getServerInfo, request, options);
  }

  /**
   * The node's results from the cursor on. The call starts with the first `next()`, is cancelled
   * when the loop is left, and throws kind `cancelled` when `signal` aborts it.
   */
  async *streamResults(
    request: Input<Methods["streamResults"]>,
    signal?: AbortSignal,
  ): AsyncGenerator<Output<Methods["streamResults"]>, void, undefined> {
    if (signal?.aborted) throw new AggregatorError("cancelled", "aborted before the call");
    const method = METHODS.streamResults;
    const metadata = metadataWith(this.#token);
    const call = this.#guard(() =>
      this.#client.makeServerStreamRequest(
        pathOf(method),
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => fromBinary(method.output, plain(bytes)),
        encode(method, request),
        metadata,
      ),
    );
    // Cancelling emits an error after the iterator has let go of the stream: not news by then.
    call.on("error", () => undefined);
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const response of call as AsyncIterable<Output<typeof method>>) yield response;
    } catch (error) {
      throw AggregatorError.from(error);
    } finally {
      signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /** Closes the channel; calls in flight fail, later ones are refused. Idempotent. */
  close(): void {
    this.#client.close();
  }

  async #unary<M extends Methods[keyof Methods]>(
    method: M,
    request: Input<M>,
    options: CallTimeout,
  ): Promise<Output<M>> {
    return this.#call(method, encode(method, request), options);
  }

  async #call<M extends Methods[keyof Methods]>(
    method: M,
    bytes: Buffer,
    { timeoutMs, signal }: CallTimeout,
  ): Promise<Output<M>> {
    if (signal?.aborted) throw new AggregatorError("cancelled", "aborted before the call");
    const options: CallOptions =
      timeoutMs === undefined ? {} : { deadline: Date.now() + Math.max(0, timeoutMs) };
    const metadata = metadataWith(this.#token);
    let cancel = (): void => undefined;
    try {
      return await new Promise<Output<M>>((resolve, reject) => {
        const call = this.#guard(() =>
          this.#client.makeUnaryRequest(
            pathOf(method),
            (encoded: Buffer) => encoded,
            (answer: Buffer) => fromBinary<M["output"]>(method.output, plain(answer)),
            bytes,
            metadata,
            options,
            (error, response) => {
              if (error !== null) reject(AggregatorError.from(error));
              else if (response === undefined)
                reject(new AggregatorError("internal", "no response and no error"));
              else resolve(response);
            },
          ),
        );
        cancel = () => call.cancel();
        signal?.addEventListener("abort", cancel, { once: true });
      });
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** grpc-js throws synchronously on a closed channel. */
  #guard<T>(start: () => T): T {
    try {
      return start();
    } catch (error) {
      throw new AggregatorError("cancelled", "the client is closed", { cause: error });
    }
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Encodes here rather than in grpc-js, which would report a bad field as INTERNAL. */
function encode<M extends DescMethod>(method: M, request: Input<M>): Buffer {
  try {
    return asBuffer(toBinary(method.input, create(method.input, request)));
  } catch (error) {
    throw new AggregatorError("invalid_argument", "the request cannot be encoded", {
      cause: error,
    });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Of a `Buffer`, bytes fields would be Buffers too, whose `slice` does not copy. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
