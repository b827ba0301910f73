import { statSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The nearest file of that name in this directory or one above, in `.murmur/`, which wins, or
 * plain.
 */
export function findNearest(name: string, directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const found = [join(at, ".murmur", name), join(at, name)].find(isFile);
    if (found !== undefined) return found;
    if (at === dirname(at)) return undefined;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false; // Absent, or in a directory that is closed to us: not ours either way.
  }
}
