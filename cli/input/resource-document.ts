import { isMap, isScalar, isSeq, parseDocument } from "yaml";
import { invalid } from "../../lib/errors";

/** A field of a resource as it was written. */
export type ResourceField = { text: string } | { texts: string[] };

/** The fields of a resource by name; those without a value are left out. */
export type ResourceDocument = ReadonlyMap<string, ResourceField>;

/**
 * Reads one resource in JSON or YAML. Scalars are taken as they are written: in YAML `007` and
 * `true` are texts like any other, in JSON only strings are texts. Throws INVALID_ARGUMENT without
 * repeating what was read, since that may be a secret.
 */
export function parseResourceDocument(source: Buffer): ResourceDocument {
  const text = decodeUtf8(source);
  return text.trimStart().startsWith("{") ? (parseJson(text) ?? parseYaml(text)) : parseYaml(text);
}

function decodeUtf8(source: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(source);
  } catch {
    throw invalid("", "standard input is not UTF-8");
  }
}

/** Undefined when it is not JSON: YAML has braces, too. */
function parseJson(text: string): ResourceDocument | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // The parser's message would quote the text.
  }
  const fields = Object.entries(value as Record<string, unknown>);
  return new Map(
    fields
      .filter(([, field]) => field !== null)
      .map(([name, field]) => [name, fromJson(name, field)]),
  );
}

function fromJson(name: string, value: unknown): ResourceField {
  if (typeof value === "string") return { text: value };
  // `expected_revision: 3` is as good as `"3"`; only a value would be another one when respelled.
  if (Number.isSafeInteger(value) && name !== "plaintext_value") return { text: String(value) };
  if (Array.isArray(value) && value.every((item) => typeof item === "string"))
    return { texts: value };
  throw invalid(name, `${name} must be a string or a list of strings`);
}

function parseYaml(text: string): ResourceDocument {
  // Pretty errors quote the line; merge keys and tags have no place in a resource.
  const document = parseDocument(text, { prettyErrors: false, keepSourceTokens: false });
  const fault = document.errors[0];
  if (fault) {
    const line = text.slice(0, fault.pos[0]).split("\n").length;
    throw invalid("", `standard input is not JSON or YAML (line ${line}: ${fault.code})`);
  }
  if (document.contents === null) return new Map();
  if (!isMap(document.contents)) throw invalid("", "standard input must hold fields and values");
  const fields = new Map<string, ResourceField>();
  for (const { key, value } of document.contents.items) {
    const name = isScalar(key) ? String(key.value) : "";
    const field = fromYaml(name, value);
    if (field) fields.set(name, field);
  }
  return fields;
}

function fromYaml(name: string, node: unknown): ResourceField | undefined {
  if (isSeq(node)) {
    const texts = node.items.map((item) => scalarText(item));
    if (texts.every((text) => text !== undefined)) return { texts };
  } else if (node === null || (isScalar(node) && node.value === null)) {
    return undefined;
  } else {
    const text = scalarText(node);
    if (text !== undefined) return { text };
  }
  throw invalid(name, `${name} must be a text or a list of texts`);
}

/** As written, whatever type YAML would make of it. */
function scalarText(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === "string" ? node.value : node.source;
}
