import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { enumWords } from "./enum-words";
import { hasPresence, isTime } from "./messages";

/** A message as ts-proto holds it. */
type Fields = Readonly<Record<string, unknown>>;
type OneofValue = { $case: string; value: unknown } | undefined;

/**
 * A message that was received, as JSON: names as in the proto file, enums as words, times as RFC 3339,
 * whole numbers as numbers, bytes as base64. What is absent is left out, and so is an enum value that
 * this gateway does not know.
 */
export function toJson(type: DescMessage, message: unknown): Record<string, unknown> {
  const entries = type.fields.flatMap((field) => {
    const value = valueOf(field, message as Fields);
    if (value === undefined) return [];
    const json = isMany(field)
      ? (value as unknown[]).map((item) => toJsonValue(field, item))
      : toJsonValue(field, value);
    return json === undefined ? [] : [[field.name, json]];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function valueOf(field: DescField, message: Fields): unknown {
  if (!field.oneof || field.proto.proto3Optional) return message[field.localName];
  const one = message[field.oneof.localName] as OneofValue;
  return one?.$case === field.localName ? one.value : undefined;
}

function isMany(field: DescField): boolean {
  return field.fieldKind === "list";
}

function toJsonValue(field: DescField, value: unknown): unknown {
  if (field.message)
    return isTime(field.message) ? (value as Date).toISOString() : toJson(field.message, value);
  if (field.enum) return toWord(field.enum, value as number);
  switch (field.scalar) {
    case ScalarType.BYTES:
      return Buffer.from(value as Uint8Array).toString("base64");
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return Number(value);
    default:
      return value;
  }
}

function toWord(type: DescEnum, value: number): string | undefined {
  return enumWords(type).get(value);
}

/** Whether a field is in every message that is received. */
export function isAlwaysThere(field: DescField): boolean {
  return isMany(field) || !(hasPresence(field) || field.enum);
}
