import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  ScalarType,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET } from "../../../gen/descriptor-set";
import { PROTO_COMMENTS } from "../../../gen/proto-comments";
import type { MethodDefinition } from "../../../lib/grpc/definition";

const REGISTRY = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET, "base64")),
);

/** What goes into an RPC and comes out of it, as its proto file says. */
export function messagesOf(rpc: MethodDefinition): { input: DescMessage; output: DescMessage } {
  const [, service = "", name] = rpc.path.split("/");
  const method = REGISTRY.getService(service)?.methods.find((it) => it.name === name);
  if (!method) throw new Error(`no method ${rpc.path} in the descriptor set`);
  return { input: method.input, output: method.output };
}

/** What proto/ says of a message or a field; undefined where it says nothing. */
export function commentOf(described: DescMessage | DescField): string | undefined {
  const name =
    described.kind === "message"
      ? described.typeName
      : `${described.parent.typeName}.${described.name}`;
  return PROTO_COMMENTS.get(name)?.replaceAll("\n", " ");
}

/** What proto/ says of an RPC, line by line. */
export function commentOfRpc({ path }: MethodDefinition): string | undefined {
  return PROTO_COMMENTS.get(path.slice(1).replace("/", "."));
}

/** Whether a field is a `google.protobuf.Timestamp`, which is a `Date` here and RFC 3339 in JSON. */
export function isTime(message: DescMessage): boolean {
  return message.typeName === "google.protobuf.Timestamp";
}

/** Whether a field of a message that is sent may be absent, rather than empty or 0. */
export function hasPresence(field: DescField): boolean {
  return field.oneof !== undefined || field.proto.proto3Optional || field.fieldKind === "message";
}

/** Whether a field is one value of bytes. */
export function isBytes(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES;
}

/** Where a message that holds bytes as text is given them otherwise. */
export const BASE64_SUFFIX = "_base64";
