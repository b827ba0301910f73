import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BENCHES } from "./benches";
import { type Figure, toTable } from "./harness";
import { runRole } from "./roles";

const USAGE = `usage: npm run bench -- [--runs N] [--rekeys N] [--out FILE] [${Object.keys(BENCHES).join("|")}]…`;

/** Measures what was named, or all, and exits 0 only if every mark was met. */
async function main(): Promise<number> {
  const [first, ...rest] = process.argv.slice(2);
  if (first === "role") return runRole(rest);
  const options = parse(process.argv.slice(2));
  if (!options) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const figures: Figure[] = [];
  for (const name of options.names) {
    say(`${name} …`);
    const found = await BENCHES[name]?.({ ...options, root: join(__dirname, ".."), say });
    figures.push(...(found ?? []));
  }
  process.stdout.write(`${toTable(figures)}\n`);
  for (const { id, name, notes } of figures)
    for (const note of notes) process.stdout.write(`  ${id} ${name}: ${note}\n`);
  writeFileSync(options.out, `${JSON.stringify({ node: process.version, figures }, null, 2)}\n`);
  return figures.every(({ verdict }) => verdict !== "MISS") ? 0 : 1;
}

function parse(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        runs: { type: "string", default: "3" },
        rekeys: { type: "string", default: "300" },
        out: { type: "string", default: "bench/results.json" },
      },
    });
    const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
    const [runs, rekeys] = [Number(values.runs), Number(values.rekeys)];
    const isGood = names.every((name) => name in BENCHES) && runs >= 1 && rekeys >= 10;
    return isGood ? { names, runs, rekeys, out: values.out } : undefined;
  } catch {
    return undefined; // An unknown flag: the usage says it.
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.stack : "failed"}\n`);
    process.exit(1);
  },
);
