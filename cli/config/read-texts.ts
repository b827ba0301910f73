import { readFileSync } from "node:fs";
import { LocalError } from "../errors";
import { parseFlatTexts } from "./flat-texts";

/**
 * Texts at the top of a YAML file for these keys; other keys are others' business. Throws
 * LocalError that names the file and the key, never a value.
 */
export async function readTexts(
  path: string,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const source = readText(path);
  const flat = parseFlatTexts(source);
  if (flat) return new Map([...flat].filter(([key]) => keys.includes(key)));
  const { parseYamlTexts } = await import("./yaml-texts.js");
  const { texts, fault } = parseYamlTexts(source, keys);
  if (fault !== undefined) throw new LocalError(`${path}${fault}`);
  return texts;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(
      `cannot read ${path} (${code})`,
      "Check MURMUR_CONFIG, or run murmur auth.",
    );
  }
}
