/**
 * A typed client of `lean.aggregator.v1` with promises: one grpc-js channel to one address. It
 * makes each call once; `TickAggregator` retries, and chooses among addresses.
 */
import { setMaxListeners } from "node:events";
import type { DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError } from "../errors.js";
import { channelOpener } from "./channel.js";
import type { ChannelOptions } from "./channel.js";
import { asBuffer, encodeRequest, pathOf, responseDecoder } from "./method-codec.js";
import type { TokenSource } from "./token.js";
import { metadataWith } from "./token.js";
import type { CallTimeout } from "./unary-call.js";
import { callUnary, onOpenChannel } from "./unary-call.js";

const METHODS = AggregatorService.method;
type Methods = typeof METHODS;
type Input<M extends DescMethod> = MessageInitShape<M["input"]>;
type Output<M extends DescMethod> = MessageShape<M["output"]>;

export type AggregatorClientOptions = ChannelOptions;

/**
 * A client of the service at one address. Every method rejects with `AggregatorError` and nothing
 * else. A request is a plain object or a message; the caller may change it once the method has
 * returned its promise.
 */
export class AggregatorClient {
  private readonly open: () => Client;
  private client: Client;
  /** Aborts the calls on the present connection. */
  private connection = newConnection();
  private isClosed = false;
  private readonly token: TokenSource | undefined;

  /**
   * Does not connect before the first call. Throws `TypeError` when the address or a TLS file
   * cannot be used, or when a token would go to another machine in plain text.
   */
  constructor(options: AggregatorClientOptions) {
    this.open = channelOpener(options);
    this.client = this.open();
    this.token = options.token;
  }

  /** Submits a snapshot. "Skipped" is a response, not an error. */
  submitSnapshot(
    request: Input<Methods["submitSnapshot"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["submitSnapshot"]>> {
    return this.call(METHODS.submitSnapshot, request, options);
  }

  /**
   * As `submitSnapshot`, with the request as the bytes of a `SubmitSnapshotRequest`.
   *
   * @param options with the W3C header `traceparent` of the caller's trace. Default: none
   */
  submitEncoded(
    request: Uint8Array,
    options: CallTimeout & { traceparent?: string | undefined } = {},
  ): Promise<Output<Methods["submitSnapshot"]>> {
    return this.callEncoded(METHODS.submitSnapshot, asBuffer(request), options);
  }

  /** Returns state and outcomes of one session. Rejects as `not_found` for an unknown request. */
  getSession(
    request: Input<Methods["getSession"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["getSession"]>> {
    return this.call(METHODS.getSession, request, options);
  }

  /** Ends a session, or only the groups that the request names. Idempotent. */
  cancelSession(
    request: Input<Methods["cancelSession"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["cancelSession"]>> {
    return this.call(METHODS.cancelSession, request, options);
  }

  /** Verifies a proof against exactly the keys given. "Invalid" is a response, not an error. */
  verifyAggregate(
    request: Input<Methods["verifyAggregate"]>,
    options: CallTimeout = {},
  ): Promise<Output<Methods["verifyAggregate"]>> {
    return this.call(METHODS.verifyAggregate, request, options);
  }

  /** Returns what the service proves, its limits, its devices and their learned costs. */
  getServerInfo(
    request: Input<Methods["getServerInfo"]> = {},
    options: CallTimeout = {},
  ): Promise<Output<Methods["getServerInfo"]>> {
    return this.call(METHODS.getServerInfo, request, options);
  }

  /**
   * Streams the node's results: what is missing of the awaited requests, then what comes. The call
   * starts with the first `next()`, and is cancelled when the caller leaves its loop. Throws kind
   * `cancelled` when `signal` aborts.
   */
  async *streamResults(
    request: Input<Methods["streamResults"]>,
    signal?: AbortSignal,
  ): AsyncGenerator<Output<Methods["streamResults"]>, void, undefined> {
    if (signal?.aborted) throw new AggregatorError("cancelled", "aborted before the call");
    const method = METHODS.streamResults;
    const metadata = metadataWith(this.token);
    const bytes = encodeRequest(method, request);
    const call = onOpenChannel(() =>
      this.client.makeServerStreamRequest(
        pathOf(method),
        (encoded: Buffer) => encoded,
        responseDecoder(method),
        bytes,
        metadata,
      ),
    );
    // Cancelling emits an error after the loop has ended. Without a listener it would be uncaught.
    call.on("error", () => undefined);
    const cancel = () => call.cancel();
    const { connection } = this;
    const signals = [connection.signal, ...(signal ? [signal] : [])];
    for (const each of signals) each.addEventListener("abort", cancel, { once: true });
    try {
      for await (const response of call as AsyncIterable<Output<typeof method>>) yield response;
    } catch (error) {
      throw connection.signal.aborted && !signal?.aborted ? gaveUp() : AggregatorError.from(error);
    } finally {
      for (const each of signals) each.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /**
   * Ends all calls in flight as `unavailable`. Later calls go over a new connection, to an address
   * that DNS gives anew. Has no effect once the client is closed. For a connection that is silent:
   * it looks alive until the system gives it up, which takes minutes.
   */
  reconnect(): void {
    if (this.isClosed) return;
    const { client, connection } = this;
    this.client = this.open();
    this.connection = newConnection();
    connection.abort();
    client.close();
  }

  /**
   * Closes the channel: calls in flight fail, and later calls reject as `cancelled`. Idempotent.
   */
  close(): void {
    this.isClosed = true;
    this.client.close();
  }

  private async call<M extends Methods[keyof Methods]>(
    method: M,
    request: Input<M>,
    options: CallTimeout,
  ): Promise<Output<M>> {
    return this.callEncoded(method, encodeRequest(method, request), options);
  }

  private async callEncoded<M extends Methods[keyof Methods]>(
    method: M,
    request: Buffer,
    { traceparent, ...options }: CallTimeout & { traceparent?: string | undefined },
  ): Promise<Output<M>> {
    const metadata = metadataWith(this.token);
    if (traceparent !== undefined) metadata.set("traceparent", traceparent);
    const decode = responseDecoder(method);
    const call = { path: pathOf(method), request, decode, metadata };
    const { client, connection } = this;
    const { signal } = options;
    const either = signal ? AbortSignal.any([signal, connection.signal]) : connection.signal;
    try {
      return await callUnary(client, call, { ...options, signal: either });
    } catch (error) {
      throw connection.signal.aborted && !signal?.aborted ? gaveUp() : error;
    }
  }
}

function newConnection(): AbortController {
  const connection = new AbortController();
  // Every call in flight adds a listener.
  setMaxListeners(0, connection.signal);
  return connection;
}

function gaveUp(): AggregatorError {
  return new AggregatorError("unavailable", "the connection was silent and has been given up");
}
