/** Server reflection from the descriptors inside the generated code: no proto files of ours. */
import type { DescFile } from "@bufbuild/protobuf";
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import type { DescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { protoPath as healthProto } from "grpc-health-check";

/**
 * Adds reflection v1 and v1alpha for the files given, and for the health service. What the files
 * import is described; services there are not listed, for they are not served here.
 */
export function addReflection(server: Server, files: readonly DescFile[]): void {
  const all = new Set(files.flatMap((file) => [file, ...file.dependencies]));
  const ours = [...all].map(({ proto }) => clone(FileDescriptorProtoSchema, proto));
  const health = healthFile();
  const entries = [...ours, health].map((file) => {
    file.messageType.forEach(addJsonNames);
    const bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, file));
    // Reflection reads nothing of an entry but its file; an enum's is the form without codecs.
    const format = "Protocol Buffer 3 EnumDescriptorProto";
    return [file.name, { format, type: {}, fileDescriptorProtos: [bytes] }];
  });
  const definition = Object.fromEntries(entries) as PackageDefinition;
  const served = files.flatMap((file) => file.services.map(({ typeName }) => typeName));
  const services = [...served, ...health.service.map(({ name }) => `${health.package}.${name}`)];
  new ReflectionService(definition, { services }).addToServer(server);
}

/** Generated code leaves the names out; without them grpcurl prints a field's proto name. */
function addJsonNames(message: DescriptorProto): void {
  for (const field of message.field) field.jsonName = protoCamelCase(field.name);
  message.nestedType.forEach(addJsonNames);
}

/** The health package has its proto file only, and the loader a name for map entries of its own. */
function healthFile(): FileDescriptorProto {
  const [bytes] = Object.values(loadSync(healthProto)).flatMap(({ fileDescriptorProtos }) =>
    Array.isArray(fileDescriptorProtos) ? (fileDescriptorProtos as Buffer[]) : [],
  );
  if (bytes === undefined) throw new Error(`${healthProto} has no messages`);
  const file = fromBinary(FileDescriptorProtoSchema, bytes);
  for (const message of file.messageType) {
    for (const entry of message.nestedType.filter(({ options }) => options?.mapEntry)) {
      const field = message.field.find(({ typeName }) => typeName === entry.name);
      entry.name += "Entry";
      if (field !== undefined) field.typeName = entry.name;
    }
  }
  return file;
}
