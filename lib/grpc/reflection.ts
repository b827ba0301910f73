import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Adds server reflection (v1 and v1alpha) for these full service names; `descriptorSet` is a
 * base64 google.protobuf.FileDescriptorSet. The files are served as the compiler wrote them: what
 * the proto loader makes of them merges files of one package and loses what they import, and
 * grpcurl then cannot resolve `google.protobuf.Timestamp`.
 */
export function addReflection(
  server: Server,
  services: readonly string[],
  descriptorSet: string,
): void {
  const fileDescriptorProtos = splitFiles(Buffer.from(descriptorSet, "base64"));
  // The service reads nothing else of a package definition than the files of its entries.
  const files = { files: { fileDescriptorProtos } } as unknown as PackageDefinition;
  new ReflectionService(files, { services: [...services, "grpc.health.v1.Health"] }).addToServer(
    server,
  );
}

/** The files of a FileDescriptorSet, which is nothing but `repeated FileDescriptorProto file = 1`. */
function splitFiles(set: Uint8Array): Buffer[] {
  const reader = new BinaryReader(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return files;
}
