import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { Document, isMap, parseDocument } from "yaml";
import { LocalError } from "../errors";

/** Keys to set; what the file has beside them, comments included, stays. */
export type LocalConfigChanges = Readonly<Record<string, string | undefined>>;

/**
 * Writes the changes into the file, which is replaced whole, is readable by its owner only from its
 * first byte on, and is ignored by git before it holds a token.
 */
export function writeLocalConfig(path: string, changes: LocalConfigChanges): void {
  mkdirSync(dirname(path), { recursive: true });
  const target = existsSync(path) ? realpathSync(path) : path;
  ignoreInGit(target);
  const text = withChanges(target, changes);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}`);
  try {
    writeDurably(temporary, text);
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function withChanges(path: string, changes: LocalConfigChanges): string {
  const document = existsSync(path)
    ? parseDocument(readFileSync(path, "utf8"), { prettyErrors: false })
    : new Document({});
  const fault = document.errors[0];
  if (fault) throw new LocalError(`${path} is not YAML (${fault.code})`);
  if (document.contents === null) document.contents = document.createNode({});
  if (!isMap(document.contents)) throw new LocalError(`${path} must hold keys and values`);
  for (const [key, value] of Object.entries(changes)) {
    if (value !== undefined) document.set(key, value);
  }
  return document.toString({ lineWidth: 0 });
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Adds the file to the .gitignore beside it, unless a line of that says so already. */
function ignoreInGit(path: string): void {
  const name = basename(path);
  const ignoreFile = join(dirname(path), ".gitignore");
  const text = existsSync(ignoreFile) ? readFileSync(ignoreFile, "utf8") : "";
  const isIgnored = text
    .split(/\r?\n/)
    .some((line) => [name, `/${name}`, "*"].includes(line.trim()));
  if (isIgnored) return;
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  writeFileSync(ignoreFile, `${gap}${name}\n`, { flag: "a" });
}
