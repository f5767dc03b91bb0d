/** Server reflection from the descriptors inside the generated code: no proto files at run time. */
import type { DescFile } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

/** Adds reflection v1 and v1alpha for the files' services, their imports described but not listed. */
export function addReflection(server: Server, files: readonly DescFile[]): void {
  const all = [...new Set(files.flatMap((file) => [...file.dependencies, file]))];
  const set = create(FileDescriptorSetSchema, { file: all.map(({ proto }) => proto) });
  const definition = loadFileDescriptorSetFromBuffer(
    Buffer.from(toBinary(FileDescriptorSetSchema, set)),
  );
  const services = files.flatMap((file) => file.services.map(({ typeName }) => typeName));
  new ReflectionService(definition, { services }).addToServer(server);
}
