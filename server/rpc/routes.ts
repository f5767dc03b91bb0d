/**
 * The calls that a server serves, each with its handler. connect-es speaks the protocols, but
 * `call-admission.ts` reads and decodes a single request: connect-es gets an empty message in its
 * place, and the handler gets the decoded request.
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
import type { Access } from "../access/access.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import { callOf } from "./call/call-admission.js";
import type { AdmittedCall } from "./call/call-admission.js";
import type { CallContext } from "./call/call-context.js";
import type { Health } from "./health.js";
import { Reflection } from "./reflection.js";
import { codeNameOf, connectErrorOf, statusOf } from "./status.js";

type Answer<O extends DescMessage> = MessageInitShape<O> | Promise<MessageInitShape<O>>;

export class Routes {
  /** By path of the method. */
  readonly handlers = new Map<string, UniversalHandler>();
  private readonly protocols;

  constructor(private readonly modules: { log: Logger; access: Pick<Access, "begin"> }) {
    const options = {
      acceptCompression: [],
      // Of a client's stream, too: `call-admission.ts` decodes single requests.
      jsonOptions: { ignoreUnknownFields: false },
      // Applies to the messages of a client's stream: single requests are limited before.
      readMaxBytes: limits.requestBytesMax,
      writeMaxBytes: limits.snapshotBytesMax,
    };
    this.protocols = [grpcFactory, grpcWebFactory, connectFactory].map((make) => make(options));
  }

  /** Adds a method with one request and one answer. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    handle: (request: MessageShape<I>, call: CallContext) => Answer<O>,
  ): this {
    const impl = async (_empty: unknown, context: HandlerContext) => {
      const call = callOf(context);
      try {
        const answer = await handle(requestOf(method.input, call), call);
        call.signal.throwIfAborted();
        call.code = "ok";
        return answer;
      } catch (error) {
        throw this.refusal(error, call);
      } finally {
        call.answered();
      }
    };
    return this.add({ kind: "unary", method, impl });
  }

  /** Adds a method with one request and a stream of answers. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    handle: (request: MessageShape<I>, call: CallContext) => AsyncIterable<MessageInitShape<O>>,
  ): this {
    const refusal = (error: unknown, call: AdmittedCall) => this.refusal(error, call);
    const impl = async function* (_empty: unknown, context: HandlerContext) {
      const call = callOf(context);
      try {
        yield* handle(requestOf(method.input, call), call);
        // The handler may have ended because the call's own deadline has passed: that is an error.
        call.signal.throwIfAborted();
        call.code = "ok";
      } catch (error) {
        throw refusal(error, call);
      }
    };
    return this.add({ kind: "server_streaming", method, impl });
  }

  /**
   * Adds a method that answers each message of the client with one message, in order. Each message
   * after the first counts as a call of its own.
   */
  bidi<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    answer: (request: MessageShape<I>) => MessageInitShape<O>,
  ): this {
    const { access } = this.modules;
    const refusal = (error: unknown, call: AdmittedCall) => this.refusal(error, call);
    const impl = async function* (requests: AsyncIterable<unknown>, context: HandlerContext) {
      const call = callOf(context);
      let isFirst = true;
      try {
        for await (const request of requests) {
          if (!isMessage(request, method.input)) throw new Error(`not a ${method.input.typeName}`);
          if (!isFirst) access.begin(call.credential, {});
          isFirst = false;
          yield answer(request);
        }
        call.code = "ok";
      } catch (error) {
        throw refusal(error, call);
      }
    };
    return this.add({ kind: "bidi_streaming", method, impl });
  }

  /** Adds the standard health service. */
  health(health: Health): this {
    const { check, list, watch } = HealthService.method;
    return this.unary(check, (request) => health.check(request))
      .unary(list, () => health.list())
      .serverStream(watch, (request, call) => health.watch(request, call));
  }

  /** Adds server reflection, which describes `files`, the health service and itself. */
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

  /** The error for the caller; logs one that is not a refusal. */
  private refusal(error: unknown, call: AdmittedCall): ConnectError {
    call.code = codeNameOf(error);
    if (!statusOf(error).isExpected) this.modules.log.error({ err: error }, "call failed");
    return connectErrorOf(error);
  }
}

function requestOf<I extends DescMessage>(schema: I, { request }: AdmittedCall): MessageShape<I> {
  if (isMessage(request, schema)) return request;
  throw new Error(`the request is not a ${schema.typeName}`);
}
