const LINE = /^([a-z_]+): ([A-Za-z0-9](?:[A-Za-z0-9._:/+=@-]*[A-Za-z0-9._/+=@-])?)$/;
const NULL = /^null$/i;

/**
 * The texts of a YAML file that is nothing but lines such as `catalog: 127.0.0.1:7301`, blank lines
 * and comments, as murmur auth writes it: loading a YAML parser would take longer than the rest.
 * Undefined for any other file; what it gives is what the parser would.
 */
export function parseFlatTexts(source: string): Map<string, string> | undefined {
  const texts = new Map<string, string>();
  for (const line of source.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, key = "", text = ""] = LINE.exec(line) ?? [];
    if (key === "" || texts.has(key) || NULL.test(text)) return undefined;
    texts.set(key, text);
  }
  return texts;
}
