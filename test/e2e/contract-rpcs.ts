import {
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type DescMethod,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";

/** One RPC as the contract describes it, for clients that know nothing but the contract. */
export interface ContractRpc {
  service: "catalog" | "rotation";
  path: string;
  kind: DescMethod["methodKind"];
  input: DescMessage;
}

/** Every RPC of the product. */
export function contractRpcs(): ContractRpc[] {
  const bytes = Buffer.from(DESCRIPTOR_SET, "base64");
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  return [...registry.files].flatMap((file) =>
    file.services.flatMap((service) => {
      const named = /^murmur\.(catalog|rotation|audit)\./.exec(service.typeName)?.[1];
      // Both serve the audit, by the same code.
      const area = named === "audit" ? "catalog" : named;
      if (area !== "catalog" && area !== "rotation") return [];
      return service.methods.map((method) => ({
        service: area,
        path: `/${service.typeName}/${method.name}`,
        kind: method.methodKind,
        input: method.input,
      }));
    }),
  );
}
