import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { invalid } from "../../../lib/errors";
import { enumWords } from "./enum-words";
import { BASE64_SUFFIX, hasPresence, isBytes, isTime } from "./messages";

type Json = Readonly<Record<string, unknown>>;

/**
 * A message to be sent, as ts-proto holds it, from JSON that its schema has let through. What is left out
 * is absent or empty. Throws INVALID_ARGUMENT for what no schema can say: a text that is not Unicode,
 * a time that is none.
 */
export function fromJson(type: DescMessage, json: Json, path = ""): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const oneof of type.oneofs) message[oneof.localName] = undefined;
  for (const field of type.fields) {
    const at = path + field.name;
    const value = read(field, json, at);
    if (!field.oneof || field.proto.proto3Optional)
      message[field.localName] = value ?? emptyOf(field);
    else if (value !== undefined)
      message[field.oneof.localName] = { $case: field.localName, value };
  }
  return message;
}

function read(field: DescField, json: Json, at: string): unknown {
  const given = json[field.name];
  if (isBytes(field)) return readBytes(given, json[field.name + BASE64_SUFFIX], at);
  if (given === undefined) return undefined;
  if (field.fieldKind !== "list") return readOne(field, given, at);
  return (given as unknown[]).map((item, index) => readOne(field, item, `${at}[${index}]`));
}

function readOne(field: DescField, given: unknown, at: string): unknown {
  if (field.message)
    return isTime(field.message)
      ? readTime(given as string, at)
      : fromJson(field.message, given as Json, `${at}.`);
  if (field.enum) return [...enumWords(field.enum)].find(([, word]) => word === given)?.[0];
  switch (field.scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return BigInt(given as number);
    case ScalarType.STRING:
      return readText(given as string, at);
    default:
      return given;
  }
}

/** Half of a surrogate pair would become another character on its way. */
function readText(text: string, at: string): string {
  if (/\p{Cs}/u.test(text)) throw invalid(at, `${at} must be Unicode text`);
  return text;
}

function readTime(text: string, at: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw invalid(at, `${at} must be a time as in RFC 3339`);
  return time;
}

/** One of both, as its schema has it. */
function readBytes(text: unknown, base64: unknown, at: string): Buffer | undefined {
  if (typeof base64 === "string") return Buffer.from(base64, "base64");
  return typeof text === "string" ? Buffer.from(readText(text, at)) : undefined;
}

function emptyOf(field: DescField): unknown {
  if (field.fieldKind === "list") return [];
  if (hasPresence(field)) return undefined;
  if (field.enum) return 0;
  switch (field.scalar) {
    case ScalarType.STRING:
      return "";
    case ScalarType.BOOL:
      return false;
    case ScalarType.BYTES:
      return Buffer.alloc(0);
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 0n;
    default:
      return 0;
  }
}
