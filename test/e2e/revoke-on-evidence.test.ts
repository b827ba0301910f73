import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EvidenceState } from "../../gen/murmur/rotation/v1/evidence";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { API_KEY, toShown } from "../harness/credentials";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack, WORKSPACE } from "../harness/stack";

const {
  EVIDENCE_STATE_GATHERING: GATHERING,
  EVIDENCE_STATE_ENDED_ON_EVIDENCE: ENDED,
  EVIDENCE_STATE_REVOKED: REVOKED,
} = EvidenceState;

let stack: TestStack;
let own: string;
beforeAll(async () => {
  own = mkdtempSync(join(tmpdir(), "murmur-evidence-"));
  stack = await startTestStack({ settings: { MURMUR_ROTATION_QUIET_TIME: "2s" } });
}, 240_000);
afterAll(async () => {
  await stack.stop();
  rmSync(own, { recursive: true });
}, 120_000);

/** A key in a secret, of a name of its own. */
const carried = async (name: string) => {
  const shown = toShown(await stack.clients.credentials.createCredential(API_KEY));
  await stack.clients.secrets.setSecret({
    ...{ name, plaintextValue: Buffer.from(shown.value), createdAt: undefined, requestId: "" },
    delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
  });
  return { ...shown, id: shown.credential.credentialId };
};
const spawn = (slug: string, command: string[]) =>
  stack.clients.agents.spawnAgent({
    ...{ agentId: randomUUID(), workspace: WORKSPACE, slug, vm: "", parentAgentId: "" },
    ...{ command, workingDirectory: "", expectsSpawnSecrets: false },
  });
const kill = (path: string) =>
  stack.clients.agents.killAgent({ workspace: WORKSPACE, path, callerAgentId: "" });
const rotate = (credentialId: string, secretName?: string) =>
  stack.clients.credentials.rotateCredential({
    ...{ credentialId, graceSeconds: 900, requestId: randomUUID(), revokeWhenApplied: true },
    ...(secretName !== undefined && { secretName }),
  });
const evidenceOf = async (credentialId: string) => {
  const { credential } = await stack.clients.credentials.getCredential({ credentialId });
  return credential?.evidence;
};
const read = (file: string) => {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
};
const works = (value: string) =>
  stack.clientsOf(value).rollouts.listRollouts({ workspace: "", pageSize: 1, pageToken: "" });

test("a key dies when the bash that has it uses the new one, and not while a program may have it", async () => {
  // All that runs on the stack counts: its own agents have what they were started with.
  for (const { path } of (
    await stack.clients.agents.listAgents({
      ...{ workspace: WORKSPACE, vm: "", includeEnded: false, pageSize: 0, pageToken: "" },
    })
  ).agents)
    if (!path.includes("/")) await kill(path);
  const key = await carried("CARRIED");
  const seen = join(own, "seen");
  const loop = `while read -t 0.1 <> <(:) || true; do printf %s "$CARRIED" > ${seen}; done`;
  await spawn("reader", ["bash", "-c", loop]);
  await eventually(() => {
    expect(read(seen)).toBe(key.value);
  });
  await works(key.value);
  const first = await rotate(key.id, "CARRIED");
  await eventually(async () => {
    expect(read(seen)).toBe(first.value);
    expect(await evidenceOf(key.id)).toMatchObject({ state: ENDED, laggards: [] });
  });
  // Replicas remember for a moment what they have looked up.
  await eventually(() =>
    expect(works(key.value)).rejects.toMatchObject({ code: "UNAUTHENTICATED" }),
  );
  await works(first.value);

  // A program that no layer keeps current has what it was started with.
  await spawn("holder", ["sleep", "1000"]);
  await eventually(async () => {
    expect((await stack.agent("holder")).appliedGeneration).toBeGreaterThan(0n);
  });
  const successor = toShown(first).credential.credentialId;
  const second = await rotate(successor);
  await eventually(async () => {
    const evidence = await evidenceOf(successor);
    expect(evidence).toMatchObject({ state: GATHERING });
    expect(new Set(evidence?.laggards.map(({ path }) => path))).toEqual(new Set(["holder"]));
    expect(evidence?.laggards.map(({ process }) => process)).toContain("sleep");
  });
  await works(first.value);
  await kill("holder");
  await eventually(async () => {
    expect((await evidenceOf(successor))?.state).toBe(ENDED);
  });
  const third = toShown(second).credential.credentialId;
  await rotate(third);
  await stack.clients.credentials.revokeCredential({ credentialId: third, at: undefined });
  await eventually(async () => {
    expect([ENDED, REVOKED]).toContain((await evidenceOf(third))?.state);
  });
}, 300_000);
