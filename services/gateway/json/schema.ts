import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { enumWords } from "./enum-words";
import { BASE64_SUFFIX, commentOf, isBytes, isTime } from "./messages";
import { isAlwaysThere } from "./to-json";

/** A JSON Schema (2020-12), as OpenAPI 3.1 has them. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Schemas of messages, which others refer to by `#/components/schemas/<name>`. */
export type SchemaSet = Map<string, JsonSchema>;

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$";

/** The schema of a message that is received; what it refers to is added to `known`. */
export function responseSchema(type: DescMessage, known: SchemaSet): JsonSchema {
  const properties = type.fields.map((field) => [
    field.name,
    described(
      field,
      valueSchema(field, (of) => refer(of, known, "", responseSchema)),
    ),
  ]);
  const required = type.fields.filter(isAlwaysThere).map(({ name }) => name);
  return {
    ...{ type: "object", ...commented(type) },
    properties: Object.fromEntries(properties) as JsonSchema,
    ...(required.length > 0 && { required }),
  };
}

/** The schema of a message that is sent; `hidden` fields are not for callers to give. */
export function requestSchema(
  type: DescMessage,
  known: SchemaSet,
  hidden: readonly string[] = [],
): JsonSchema {
  const fields = type.fields.filter(({ name }) => !hidden.includes(name));
  const properties = fields.flatMap((field) => inputProperties(field, known));
  const exclusive = type.oneofs
    .map((oneof) => oneof.fields.filter((field) => fields.includes(field)))
    .flatMap((members) => pairs(members.map(({ name }) => name)))
    .concat(fields.filter(isBytes).map(({ name }) => [name, name + BASE64_SUFFIX]));
  return {
    ...{ type: "object", ...commented(type) },
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...(exclusive.length > 0 && {
      not: { anyOf: exclusive.map((names) => ({ required: names })) },
    }),
  };
}

/** The properties of one field that is sent. */
export function inputProperties(field: DescField, known: SchemaSet): [string, JsonSchema][] {
  if (isBytes(field)) {
    const base64 = { type: "string", contentEncoding: "base64", pattern: BASE64 };
    const description = `The same in base64, in place of \`${field.name}\`.`;
    return [
      [field.name, { ...described(field, { type: "string" }), writeOnly: true }],
      [field.name + BASE64_SUFFIX, { ...base64, description, writeOnly: true }],
    ];
  }
  const schema = valueSchema(field, (of) => refer(of, known, "Input", requestSchema));
  return [[field.name, described(field, schema)]];
}

function valueSchema(field: DescField, toRef: (type: DescMessage) => JsonSchema): JsonSchema {
  if (field.message)
    return isTime(field.message) ? { type: "string", format: "date-time" } : toRef(field.message);
  if (field.enum) return { type: "string", enum: [...enumWords(field.enum).values()] };
  switch (field.scalar) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.INT32:
      return { type: "integer", format: "int32", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
    case ScalarType.INT64:
      return { type: "integer", format: "int64", minimum: -MAX_SAFE, maximum: MAX_SAFE };
    case ScalarType.UINT64:
      return { type: "integer", format: "int64", minimum: 0, maximum: MAX_SAFE };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    default:
      throw new Error(
        `${field.parent.typeName}.${field.name} has a type that JSON has no word for`,
      );
  }
}

/** With what proto/ says of the field. */
function described(field: DescField, items: JsonSchema): JsonSchema {
  const schema = field.fieldKind === "list" ? { type: "array", items } : items;
  return { ...schema, ...commented(field) };
}

function commented(it: DescMessage | DescField): { description?: string } {
  const description = commentOf(it);
  return description === undefined ? {} : { description };
}

function refer(
  type: DescMessage,
  known: SchemaSet,
  suffix: string,
  make: (type: DescMessage, known: SchemaSet) => JsonSchema,
): JsonSchema {
  const name = type.name + suffix;
  if (!known.has(name)) {
    known.set(name, {}); // Before it is made: it may refer to itself.
    known.set(name, make(type, known));
  }
  return { $ref: `#/components/schemas/${name}` };
}

function pairs(names: readonly string[]): [string, string][] {
  return names.flatMap((name, at) =>
    names.slice(at + 1).map((other): [string, string] => [name, other]),
  );
}
