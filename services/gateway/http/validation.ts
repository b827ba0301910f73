import Ajv2020 from "ajv/dist/2020";
import type { ErrorObject, ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { type AppError, invalid } from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import type { JsonSchema, SchemaSet } from "../json/schema";

/** Undefined for what is as its schema says; else what is wrong with it, never with a value in it. */
export type Validate = (data: unknown) => AppError | undefined;

/** Checks what requests bring against the schemas that the OpenAPI document shows. */
export interface Validation {
  body(schema: JsonSchema): Validate;
  /** Of a path or a query, where everything is text: numbers and truths are read from it in place. */
  texts(properties: Readonly<Record<string, JsonSchema>>): Validate;
}

const DOCUMENT = "openapi";

/** Whatever was sent, an error is small. */
const MAX_NAME = 100;

export function createValidation(components: SchemaSet): Validation {
  const strict = { strict: true, strictRequired: false, verbose: true } as const;
  const bodies = withFormats(new Ajv2020(strict));
  const texts = withFormats(new Ajv2020({ ...strict, coerceTypes: true }));
  const shared = { $id: DOCUMENT, components: { schemas: Object.fromEntries(components) } };
  for (const ajv of [bodies, texts]) ajv.addSchema(shared);
  return {
    body: (schema) => toValidate(bodies.compile(inDocument(schema)), "the body"),
    texts(properties) {
      const schema = { type: "object", properties, additionalProperties: false };
      return toValidate(texts.compile(inDocument(schema)), "the query");
    },
  };
}

/** A schema that refers to those of the document, each of which is compiled once. */
function inDocument(schema: JsonSchema): JsonSchema {
  const text = JSON.stringify(schema).replaceAll('"$ref":"#/', `"$ref":"${DOCUMENT}#/`);
  return JSON.parse(text) as JsonSchema;
}

function withFormats(ajv: Ajv2020): Ajv2020 {
  addFormats(ajv, ["date-time"]);
  ajv.addVocabulary(["components"]);
  // They say what the generated code holds; the limits beside them are what is checked.
  for (const format of ["int32", "int64"]) ajv.addFormat(format, true);
  return ajv;
}

function toValidate(validate: ValidateFunction, whole: string): Validate {
  return (data) => {
    if (validate(data)) return undefined;
    const [error] = validate.errors ?? [];
    return error ? toError(error, whole) : invalid("", `${whole} is wrong`);
  };
}

function toError(error: ErrorObject, whole: string): AppError {
  const at = fieldOf(error.instancePath);
  const {
    params,
    keyword,
    message = "is wrong",
  } = error as ErrorObject & {
    params: Record<string, unknown>;
  };
  const below = (name: string) => (at === "" ? name : `${at}.${name}`);
  switch (keyword) {
    case "required": {
      const name = String(params["missingProperty"]);
      return invalid(below(name), `${below(name)} is required${choicesOf(error, name)}`);
    }
    case "additionalProperties": {
      const name = String(params["additionalProperty"]);
      const field = below(name).slice(0, MAX_NAME);
      return invalid(field, `${at === "" ? whole : at} has no field ${quoted(name)}`);
    }
    case "not":
      return invalid(at, `${at === "" ? whole : at} has fields that exclude each other`);
    case "enum":
    case "type": {
      const choices: unknown = error.parentSchema?.["enum"];
      if (choices !== undefined) return invalid(at, `${at} must be one of ${wordsOf(choices)}`);
      return invalid(at, `${at === "" ? whole : at} must be ${withArticle(params["type"])}`);
    }
    case "pattern":
      return invalid(at, `${at} must be base64`);
    default:
      return invalid(at, `${at === "" ? whole : at} ${message}`);
  }
}

/** A field that is required and has only some values names them at once. */
function choicesOf({ parentSchema }: ErrorObject, name: string): string {
  const properties = parentSchema?.["properties"] as Record<string, JsonSchema> | undefined;
  const choices = properties?.[name]?.["enum"];
  return choices === undefined ? "" : `: one of ${wordsOf(choices)}`;
}

function wordsOf(values: unknown): string {
  return (values as unknown[]).map(String).join(", ");
}

function withArticle(type: unknown): string {
  const words = String(type).replace("integer", "whole number").replace("boolean", "true or false");
  return words.startsWith("true") ? words : `${/^[ao]/.test(words) ? "an" : "a"} ${words}`;
}

/** `/secrets/0/name` is `secrets[0].name`. */
function fieldOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join("")
    .replace(/^\./, "");
}
