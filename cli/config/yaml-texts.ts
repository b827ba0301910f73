import { isMap, isScalar, parseDocument } from "yaml";

/** The texts that were found, or what is wrong, to be said after the file's name. */
export interface YamlTexts {
  texts: Map<string, string>;
  fault?: string;
}

/** Texts at the top of a YAML document for these keys, as they are written: `007` is a text. */
export function parseYamlTexts(source: string, keys: readonly string[]): YamlTexts {
  const texts = new Map<string, string>();
  // Pretty errors would quote the line, and with it the token.
  const document = parseDocument(source, { prettyErrors: false });
  const error = document.errors[0];
  if (error) return { texts, fault: ` is not YAML (${error.code})` };
  if (document.contents === null) return { texts };
  if (!isMap(document.contents)) return { texts, fault: " must hold keys and values" };
  for (const key of keys) {
    const node = document.get(key, true);
    if (node === undefined || (isScalar(node) && node.value === null)) continue;
    const text = isScalar(node) ? scalarText(node.value, node.source) : undefined;
    if (text === undefined) return { texts, fault: `: ${key} must be a text` };
    if (text !== "") texts.set(key, text);
  }
  return { texts };
}

function scalarText(value: unknown, source: string | undefined): string | undefined {
  return typeof value === "string" ? value : source;
}
