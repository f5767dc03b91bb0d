/** Server reflection from the descriptors inside the generated code: no proto files at run time. */
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { file_lean_aggregator_v1_aggregator } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** Adds reflection v1 and v1alpha. */
export function addReflection(server: Server): void {
  const set = create(FileDescriptorSetSchema, { file: [file_lean_aggregator_v1_aggregator.proto] });
  const definition = loadFileDescriptorSetFromBuffer(
    Buffer.from(toBinary(FileDescriptorSetSchema, set)),
  );
  new ReflectionService(definition).addToServer(server);
}
