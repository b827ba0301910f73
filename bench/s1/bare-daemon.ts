import { createDecipheriv } from "node:crypto";
import * as fs from "node:fs";
import { type ClientDuplexStream, credentials, makeClientConstructor } from "@grpc/grpc-js";
import { type Ack, BARE_KEY, BARE_SERVICE, type Push, type SealedAgent } from "./bare-protocol";

/**
 * The least that a machine's daemon does: opens each set, writes it in the forms that the product
 * writes, turns one link, acks. No check, no manifest, no supervision.
 */
export async function keepFiles([address = ""]: readonly string[]): Promise<void> {
  const Client = makeClientConstructor(BARE_SERVICE, "Bare");
  const client = new Client(address, credentials.createInsecure()) as unknown as {
    watch(): ClientDuplexStream<Ack, Push>;
  };
  const stream = client.watch();
  stream.on("error", () => process.exit(0));
  stream.on("end", () => process.exit(0));
  stream.on("data", ({ round, agents }: Push) => {
    for (const sealed of agents) swap(sealed.agent, round, open(sealed, round));
    stream.write({ round, agents: agents.map(({ agent }) => agent) });
    setImmediate(() => {
      for (const { agent } of agents)
        fs.rmSync(`${agent}/..g${round - 3}`, { recursive: true, force: true });
    });
  });
  await new Promise(() => undefined);
}

function open({ agent, iv, ciphertext, tag }: SealedAgent, round: number): [string, string][] {
  const decipher = createDecipheriv("aes-256-gcm", BARE_KEY, iv);
  decipher.setAAD(Buffer.from(`${agent}\0${round}`));
  decipher.setAuthTag(tag);
  const plaintext = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  return JSON.parse(plaintext.toString()) as [string, string][];
}

function swap(directory: string, round: number, secrets: readonly [string, string][]): void {
  const generation = `..g${round}`;
  const variables = [
    ...secrets,
    ...[
      ["MURMUR_AGENT", "bench"],
      ["MURMUR_WORKSPACE", "demo"],
    ],
    ...[
      ["MURMUR_GENERATION", String(round)],
      ["MURMUR_DIR", directory],
    ],
    ["MURMUR_ENV_FILE", `${directory}/env`],
  ];
  const lines = (prefix: string) =>
    variables.map(([name, value]) => `${prefix}${name}='${value}'\n`);
  const write = (name: string, content: string) => {
    fs.writeFileSync(`${directory}/${generation}/${name}`, content, { mode: 0o400 });
  };
  fs.mkdirSync(`${directory}/${generation}`, { mode: 0o750 });
  write("env", lines("").join(""));
  write("env.sh", lines("export ").join(""));
  write("env.json", JSON.stringify(Object.fromEntries(variables)));
  write("generation", `${round}\n`);
  // What running programs follow: names and values again; here without what was delivered before.
  write("live", lines("").join(""));
  fs.symlinkSync(generation, `${directory}/..tmp`);
  fs.renameSync(`${directory}/..tmp`, `${directory}/..data`);
  const page = Buffer.alloc(8);
  page.writeBigUInt64LE(BigInt(round));
  fs.writeFileSync(`${directory}/page`, page, { mode: 0o640 });
}
