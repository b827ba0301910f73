import { issueDeveloperToken } from "../lib/identity/claims";
import { buildTestCli, type TestCli } from "../test/harness/murmur-cli";
import { eventually } from "../test/harness/eventually";
import {
  type Carried,
  type EvidenceRig,
  report,
  startEvidenceRig,
  type TestMachine,
} from "../test/harness/evidence";

let cli: TestCli;
let rig: EvidenceRig;
let vm: TestMachine;
let cwd: string;
let key: Carried;
let agent: string;

beforeAll(async () => {
  cli = await buildTestCli();
  rig = await startEvidenceRig();
  vm = await rig.connect();
  const rotation = rig.rotation.address;
  const token = await issueDeveloperToken(rig.catalog.rotationKey, {
    ...{ tenantId: "t1", developer: "github/alice", role: "owner", ttlSeconds: 3600 },
  });
  cwd = cli.configured({ rotation, catalog: rotation, token });
  key = await rig.carried();
  agent = await rig.spawn(vm, { slug: "fix-auth" });
});
afterAll(async () => {
  vm.close();
  await rig.stop();
  cli.remove();
});

const murmur = (...words: string[]) => cli.run(words, { cwd });
const rotate = (id: string, ...words: string[]) =>
  murmur("keys", "rotate", id, "--grace", "15m", "--revoke-when-applied", ...words);
/** The agent's files have the generation, and what runs there has read it. */
const takeOver = (generation: bigint) => {
  vm.ack(agent);
  report(vm, agent, [generation]);
};

describe("murmur keys rotate --revoke-when-applied", () => {
  it("names the options that make no sense without it", async () => {
    for (const options of [["--secret", "A"], ["--wait"], ["--timeout", "1s"]]) {
      const words = ["keys", "rotate", key.id, "--grace", "15m", ...options];
      const { code, stderr } = await murmur(...words);
      expect({ code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`${options[0] ?? ""} goes with --revoke`) as string,
      });
    }
  });

  it("asks for the secret that carries the key when nobody has said it yet", async () => {
    const { code, stderr } = await rotate(key.id);
    expect(code).toBe(1);
    expect(stderr).toContain("secret_name is required");
    expect(await rig.isValid(key.value)).toBe(true);
  });

  it("names who holds the old one, and is no success, while it is held", async () => {
    const before = vm.desired.get(agent)?.generation ?? 0n;
    const { code, stdout, stderr } = await rotate(
      ...[key.id, "--secret", key.secretName, "--wait", "--timeout", "1s"],
    );
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^mur_key_/) as string,
    });
    expect(stderr).toContain(`The new one is ${key.secretName}@2`);
    const holder = `backend/fix-auth on ${vm.machine.name}`;
    expect(stderr).toContain(`  ${holder}: `);
    expect(stderr).toContain("the old one is still held\n");
    expect((await murmur("keys", "show", key.id)).stdout).toContain(holder);
    expect(await rig.isValid(key.value)).toBe(true);
    takeOver(await rig.told(vm, agent, before));
    await eventually(async () => {
      const { stdout: shown } = await murmur("keys", "show", key.id, "--json");
      expect(JSON.parse(shown)).toMatchObject({
        state: "revoked",
        evidence: { state: "ended on evidence", laggard_count: 0 },
      });
    });
    await rig.ended(key.value);
    expect(await rig.isValid(stdout.trim())).toBe(true);
  });

  it("waits until nobody has the old one, and knows the secret by then", async () => {
    const { stdout } = await murmur("keys", "ls", "--json");
    const [{ id } = { id: "" }] = JSON.parse(stdout) as { id: string }[];
    const before = vm.desired.get(agent)?.generation ?? 0n;
    const waiting = rotate(id, "--wait", "--json");
    takeOver(await rig.told(vm, agent, before));
    const { code, stdout: made, stderr } = await waiting;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(made)).toMatchObject({
      value: expect.stringMatching(/^mur_key_/) as string,
      replaced: { id, state: "revoked", evidence: { state: "ended on evidence" } },
    });
  });
});
