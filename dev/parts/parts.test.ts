import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../test/harness/eventually";
import { createPool } from "../../lib/postgres/pool";
import { sensitive } from "../../lib/sensitive";
import { startKafka } from "./kafka";
import { startOpenBao } from "./openbao";
import { type Part } from "./part";
import { startPostgres } from "./postgres";
import { withPrivileges } from "./privileges";

describe("a part of the development stack", () => {
  let directory: string;
  const running: Part[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "murmur-parts-"));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((part) => part.stop()));
    rmSync(directory, { recursive: true, force: true });
  });
  const keep = <P extends Part>(part: P): P => {
    running.push(part);
    return part;
  };

  test("PostgreSQL that was killed comes back with what was committed", async () => {
    const first = keep(await startPostgres({ directory, durable: false }));
    await run(first.url, "create table kept (id int)");
    await first.kill();
    expect(await first.exited).toBe("SIGKILL");
    const again = keep(await startPostgres({ directory, port: first.port, durable: false }));
    await run(again.url, "select * from kept");
  });

  test("OpenBao that was killed comes back unsealed, with its keys", async () => {
    const first = keep(await startOpenBao({ directory }));
    expect(await transit(first, "POST", "keys/kept")).toBe(200);
    await first.kill();
    const again = keep(await startOpenBao({ directory, port: first.port }));
    expect(again.token).toBe(first.token);
    expect(await transit(again, "GET", "keys/kept")).toBe(200);
  });

  test("Kafka that was killed comes back on the same address", async () => {
    const first = keep(await startKafka({ directory }));
    await first.kill();
    const again = keep(await startKafka({ directory, port: first.port }));
    expect(again.brokers).toBe(first.brokers);
  }, 180_000);

  test("a throw-away directory is gone after the stop", async () => {
    const part = await startPostgres({ durable: false });
    await Promise.all([part.stop(), part.stop()]);
    expect(existsSync(part.directory)).toBe(false);
  });

  test("a part ends when the process that started it is killed", async () => {
    const [command, args] = withPrivileges(["sleep", "600"], undefined, "SIGKILL");
    const script = `
      const { spawn } = require("node:child_process");
      const child = spawn(${JSON.stringify(command)}, ${JSON.stringify(args)});
      child.on("spawn", () => console.log(child.pid));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once("data", (text: Buffer) => resolve(Number(text)));
    });
    await eventually(() => expect(commandOf(pid)).toContain("sleep"));
    parent.kill("SIGKILL");
    await eventually(() => expect(commandOf(pid)).toBe(""));
  });
});

/** Empty when the process is gone, or a zombie that nobody has waited for. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // No such process.
    return "";
  }
}

async function run(url: string, sql: string): Promise<void> {
  const pool = createPool({ url: sensitive(url), applicationName: "test", max: 1 });
  await pool.query(sql).finally(() => pool.close());
}

async function transit(
  { address, token }: { address: string; token: string },
  method: string,
  path: string,
): Promise<number> {
  const headers = { "X-Vault-Token": token };
  return (await fetch(`${address}/v1/transit/${path}`, { method, headers })).status;
}
