import { existsSync, linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname } from "node:path";

/** Writes a file that only this user can read, whole or not at all. */
export function writePrivate(file: string, content: string): string {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  rmSync(file, { force: true });
  return createPrivate(file, () => content);
}

/** The same, unless it is there already. Returns the path. */
export function createPrivate(file: string, content: () => string): string {
  if (existsSync(file)) return file;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  writeFileSync(temporary, content(), { mode: 0o600, flag: "wx" });
  linkSync(temporary, file);
  rmSync(temporary);
  return file;
}
