import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Murmur } from "../../dev/stack/murmur";
import { eventually } from "./eventually";
import type { TestStack } from "./stack";

/** Does the jobs that it finds, one after the other, as one process of an agent. */
const PROGRAM = `
echo $$ >pid.tmp && mv pid.tmp pid
while :; do
  for job in *.job; do
    [ -e "$job" ] || continue
    name=\${job%.job}
    bash "$job" >"$name.out" 2>&1
    echo $? >"$name.tmp"; rm "$job"; mv "$name.tmp" "$name.status"
  done
  sleep 0.05
done
`;
const WAIT = { timeoutMs: 30_000 };

/** An agent that runs what a test gives it, in its own directory. */
export interface AgentWorker {
  directory: string;
  /** Of the process that does the jobs. */
  pid(): string;
  /** Runs a script of bash inside the agent; its exit status and all that it wrote. */
  run(script: string): Promise<{ status: number; output: string }>;
}

/** Spawns it on the first VM, with the murmur.yaml that stands in `directory`. */
export async function spawnWorker(
  { place, vms }: TestStack,
  slug: string,
  directory: string,
): Promise<AgentWorker> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "worker.sh"), PROGRAM);
  const words = ["spawn", "--vm", vms[0]!.name, "--cwd", directory, slug];
  const murmur = new Murmur(place.root, place.configFile, directory);
  await murmur.run([...words, "--", "bash", "worker.sh"]);
  const read = (file: string) => readFileSync(join(directory, file), "utf8");
  await eventually(() => expect(read("pid")).toMatch(/^\d+\n$/), WAIT);
  let jobs = 0;
  return {
    directory,
    pid: () => read("pid"),
    async run(script) {
      const name = `job-${++jobs}`;
      writeFileSync(join(directory, `${name}.new`), script);
      renameSync(join(directory, `${name}.new`), join(directory, `${name}.job`));
      const status = await eventually(() => Number(read(`${name}.status`)), WAIT);
      return { status, output: read(`${name}.out`) };
    },
  };
}
