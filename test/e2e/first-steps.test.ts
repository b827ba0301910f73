import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeySet } from "../../lib/identity/key-set";
import { createTokenVerifier, PRODUCT_AUDIENCE } from "../../lib/identity/tokens";

const ROOT = join(__dirname, "..", "..");

/** Runs a bundle of dist/, as `npm test` has built it. */
function runBundle(name: string, ...args: string[]): string {
  const options = { cwd: ROOT, encoding: "utf8", timeout: 60_000 } as const;
  return execFileSync(process.execPath, [join("dist", `${name}.js`), ...args], options);
}

test("every bundle that a page, the image or the containers start is built", () => {
  const pages = ["README.md", "docker-compose.yml", "Dockerfile"].concat(
    readdirSync(join(ROOT, "docs"))
      .filter((file) => file.endsWith(".md"))
      .map((file) => join("docs", file)),
  );
  const named = pages.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), "utf8");
    return [...text.matchAll(/\bdist\/([\w-]+)\.js\b/g)].map(([, name = ""]) => name);
  });
  const built = readdirSync(join(ROOT, "dist"));
  expect(named).toContain("init");
  expect(named.filter((name) => !built.includes(`${name}.js`))).toEqual([]);
});

test("an installation's keys and the tokens that its operator issues fit together", async () => {
  const directory = mkdtempSync(join(tmpdir(), "murmur-first-steps-"));
  try {
    const addresses = ["--catalog", "catalog:7301", "--rotation", "rotation:7302"];
    runBundle("init", directory, "--database-url", "postgres://nowhere/murmur", ...addresses);
    const keySet = createKeySet(join(directory, "key-set.json"));
    const tokens = createTokenVerifier({ keySet, audiences: [PRODUCT_AUDIENCE] });
    const first = /^token: (.+)$/m.exec(
      readFileSync(join(directory, "murmur.local.yaml"), "utf8"),
    )?.[1];
    expect(await tokens.verify(first ?? "")).toMatchObject({ subject: "local/developer" });

    const keyFile = join(directory, "rotation-signing-key.json");
    const issued = runBundle(
      "issue-token",
      ...["--key-file", keyFile, "--tenant", "local", "--developer", "github/bob"],
    ).trim();
    expect(await tokens.verify(issued)).toMatchObject({ subject: "github/bob" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
