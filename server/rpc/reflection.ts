/**
 * Server reflection, grpc.reflection v1 and v1alpha. The descriptors come from the generated code:
 * no proto file is read at run time.
 */
import type { DescFile, Registry } from "@bufbuild/protobuf";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.js";
import {
  ErrorResponseSchema,
  ExtensionNumberResponseSchema,
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.js";
import type {
  ServerReflectionRequest as AlphaRequest,
  ServerReflectionResponse as AlphaResponse,
} from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";
import {
  ServerReflectionRequestSchema as AlphaRequestSchema,
  ServerReflectionResponseSchema as AlphaResponseSchema,
} from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";

/** Status codes of gRPC, which reflection has inside its messages. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;

type Answer = ServerReflectionResponse["messageResponse"];

export class Reflection {
  private readonly registry: Registry;
  private readonly files: ReadonlyMap<string, DescFile>;
  private readonly services: readonly string[];
  /** Each file that was asked for, encoded, with those that it imports: that takes 1 ms. */
  private readonly encoded = new Map<DescFile, Uint8Array[]>();

  /** @param files the proto files whose services are served; files that they import are added */
  constructor(files: readonly DescFile[]) {
    const all = files.flatMap(withImports);
    this.registry = createRegistry(...all);
    this.files = new Map(all.map((file) => [file.proto.name, file]));
    this.services = files.flatMap((file) => file.services.map(({ typeName }) => typeName));
  }

  /** The answer to one request of a reflection stream. */
  answer(request: ServerReflectionRequest): ServerReflectionResponse {
    return create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: this.find(request.messageRequest),
    });
  }

  /** Like `answer`, in v1alpha: its messages have the same fields, and so the same bytes, as v1. */
  answerAlpha(request: AlphaRequest): AlphaResponse {
    const bytes = toBinary(AlphaRequestSchema, request);
    const answer = this.answer(fromBinary(ServerReflectionRequestSchema, bytes));
    return fromBinary(AlphaResponseSchema, toBinary(ServerReflectionResponseSchema, answer));
  }

  private find(asked: ServerReflectionRequest["messageRequest"]): Answer {
    switch (asked.case) {
      case "listServices": {
        const service = this.services.map((name) => ({ name }));
        const value = create(ListServiceResponseSchema, { service });
        return { case: "listServicesResponse", value };
      }
      case "fileByFilename":
        return this.fileOrError(this.files.get(asked.value), `file ${asked.value}`);
      case "fileContainingSymbol":
        return this.fileOrError(this.fileOf(asked.value), `symbol ${asked.value}`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = asked.value;
        return errorOf(NOT_FOUND, `no extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const baseTypeName = asked.value;
        if (this.registry.getMessage(baseTypeName) === undefined) {
          return errorOf(NOT_FOUND, `no type ${baseTypeName}`);
        }
        // The served messages have no extensions.
        const value = create(ExtensionNumberResponseSchema, { baseTypeName });
        return { case: "allExtensionNumbersResponse", value };
      }
      case undefined:
        return errorOf(INVALID_ARGUMENT, "message_request is missing");
    }
  }

  /** The file that defines a type, service, field or method, by full name; undefined: unknown. */
  private fileOf(symbol: string): DescFile | undefined {
    const found = this.registry.get(symbol);
    if (found !== undefined) return found.file;
    const dot = symbol.lastIndexOf(".");
    const parent = this.registry.get(symbol.slice(0, Math.max(0, dot)));
    const name = symbol.slice(dot + 1);
    const members =
      parent?.kind === "service" ? parent.methods : parent?.kind === "message" ? parent.fields : [];
    return members.some((member) => member.name === name) ? parent?.file : undefined;
  }

  private fileOrError(file: DescFile | undefined, what: string): Answer {
    if (file === undefined) return errorOf(NOT_FOUND, `no ${what}`);
    let bytes = this.encoded.get(file);
    if (bytes === undefined) {
      const all = [...new Set(withImports(file))];
      bytes = all.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
      this.encoded.set(file, bytes);
    }
    const value = create(FileDescriptorResponseSchema, { fileDescriptorProto: bytes });
    return { case: "fileDescriptorResponse", value };
  }
}

function errorOf(errorCode: number, errorMessage: string): Answer {
  return { case: "errorResponse", value: create(ErrorResponseSchema, { errorCode, errorMessage }) };
}

/** A file, then the files that it imports, directly or not; a file may occur twice. */
function withImports(file: DescFile): DescFile[] {
  return [file, ...file.dependencies.flatMap(withImports)];
}
