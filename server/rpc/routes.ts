/**
 * The calls that a server serves, each with its handler. Connect speaks the protocols, but requests
 * are read and decoded by `call-admission.ts`: connect is handed an empty message in place of each,
 * and the handler gets the decoded one with its call.
 */
import { isMessage } from "@bufbuild/protobuf";
import type {
  DescFile,
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext, MethodImplSpec } from "@connectrpc/connect";
import { createUniversalMethodHandler } from "@connectrpc/connect/protocol";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { createHandlerFactory as connectFactory } from "@connectrpc/connect/protocol-connect";
import { createHandlerFactory as grpcFactory } from "@connectrpc/connect/protocol-grpc";
import { createHandlerFactory as grpcWebFactory } from "@connectrpc/connect/protocol-grpc-web";
import {
  file_grpc_health_v1_health,
  Health as HealthService,
} from "../../proto/gen/grpc/health/v1/health_pb.js";
import {
  file_grpc_reflection_v1_reflection,
  ServerReflection,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.js";
import {
  file_grpc_reflection_v1alpha_reflection,
  ServerReflection as AlphaReflection,
} from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import { callOf } from "./call-admission.js";
import type { AdmittedCall } from "./call-admission.js";
import type { CallContext } from "./call-context.js";
import type { Health } from "./health.js";
import { Reflection } from "./reflection.js";
import { connectErrorOf, statusOf } from "./status.js";

type Answer<O extends DescMessage> = MessageInitShape<O> | Promise<MessageInitShape<O>>;

export class Routes {
  readonly handlers = new Map<string, UniversalHandler>();
  private readonly protocols;

  constructor(private readonly log: Logger) {
    const options = {
      acceptCompression: [],
      // Of the messages of a client's stream: single requests have been read by then.
      readMaxBytes: limits.requestBytesMax,
      writeMaxBytes: limits.snapshotBytesMax,
    };
    this.protocols = [grpcFactory, grpcWebFactory, connectFactory].map((make) => make(options));
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    handle: (request: MessageShape<I>, call: CallContext) => Answer<O>,
  ): this {
    const impl = async (_empty: unknown, context: HandlerContext) => {
      const call = callOf(context);
      try {
        const answer = await handle(requestOf(method.input, call), call);
        call.signal.throwIfAborted();
        return answer;
      } catch (error) {
        throw this.refusal(error);
      }
    };
    return this.add({ kind: "unary", method, impl });
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    handle: (request: MessageShape<I>, call: CallContext) => AsyncIterable<MessageInitShape<O>>,
  ): this {
    const refusal = (error: unknown) => this.refusal(error);
    const impl = async function* (_empty: unknown, context: HandlerContext) {
      const call = callOf(context);
      try {
        yield* handle(requestOf(method.input, call), call);
        // The stream may have ended because the call's own deadline had passed.
        call.signal.throwIfAborted();
      } catch (error) {
        throw refusal(error);
      }
    };
    return this.add({ kind: "server_streaming", method, impl });
  }

  /** One answer to each message of the client, in order. */
  bidi<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    answer: (request: MessageShape<I>) => MessageInitShape<O>,
  ): this {
    const impl = async function* (requests: AsyncIterable<unknown>) {
      for await (const request of requests) {
        if (!isMessage(request, method.input)) throw new Error(`not a ${method.input.typeName}`);
        yield answer(request);
      }
    };
    return this.add({ kind: "bidi_streaming", method, impl });
  }

  /** The standard health service. */
  health(health: Health): this {
    const { check, list, watch } = HealthService.method;
    return this.unary(check, (request) => health.check(request))
      .unary(list, () => health.list())
      .serverStream(watch, (request, call) => health.watch(request, call));
  }

  /** Server reflection of these files, of health, and of itself. */
  reflection(files: readonly DescFile[]): this {
    const reflection = new Reflection([
      ...files,
      file_grpc_health_v1_health,
      file_grpc_reflection_v1_reflection,
      file_grpc_reflection_v1alpha_reflection,
    ]);
    return this.bidi(ServerReflection.method.serverReflectionInfo, (request) =>
      reflection.answer(request),
    ).bidi(AlphaReflection.method.serverReflectionInfo, (request) =>
      reflection.answerAlpha(request),
    );
  }

  private add(spec: MethodImplSpec): this {
    const handler = createUniversalMethodHandler(spec, this.protocols);
    this.handlers.set(handler.requestPath, handler);
    return this;
  }

  private refusal(error: unknown): ConnectError {
    if (!statusOf(error).isExpected) this.log.error({ err: error }, "call failed");
    return connectErrorOf(error);
  }
}

function requestOf<I extends DescMessage>(schema: I, { request }: AdmittedCall): MessageShape<I> {
  if (isMessage(request, schema)) return request;
  throw new Error(`the request is not a ${schema.typeName}`);
}
