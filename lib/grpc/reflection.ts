import type { Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

/**
 * Adds server reflection (v1 and v1alpha) for these full service names; `descriptorSet` is a
 * base64 google.protobuf.FileDescriptorSet.
 */
export function addReflection(
  server: Server,
  services: readonly string[],
  descriptorSet: string,
): void {
  const definition = loadFileDescriptorSetFromBuffer(Buffer.from(descriptorSet, "base64"), {
    keepCase: true,
  });
  new ReflectionService(definition, {
    services: [...services, "grpc.health.v1.Health"],
  }).addToServer(server);
}
