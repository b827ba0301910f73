import { mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { AckOutcome, AgentWish, type DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { systemClock } from "../../../lib/clock";
import { createLog, silentLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { createEnvFiles, type EnvFiles } from "../env-set/env-files";
import { prepareRunDir } from "../env-set/run-dir";
import { EnvWriter } from "./env-writer";
import type { OpenedEnvironment } from "./environment-source";

const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const fingerprintOf = (generation: bigint) => Buffer.from(`f${generation}`);

const desired = (generation: bigint): DesiredAgent => ({
  agentId: "a",
  workspace: "backend",
  path: "fix-auth",
  wish: AgentWish.AGENT_WISH_RUN,
  generation,
  fingerprint: fingerprintOf(generation),
  command: ["true"],
  workingDirectory: "",
  parentAgentId: "",
  developer: "github/alice",
  phase: AgentPhase.AGENT_PHASE_RUNNING,
});

const fetched = (
  generation: bigint,
  fingerprint = fingerprintOf(generation),
): OpenedEnvironment => ({
  agentId: "a",
  generation,
  fingerprint,
  set: {
    agentId: "a",
    generation,
    variables: [
      { name: "TOKEN", value: sensitive(Buffer.from(`v${generation}`)), delivery: "environment" },
    ],
    unset: [],
    fingerprint: fingerprint.toString("hex"),
  },
});

describe("EnvWriter", () => {
  let base: string;
  let envFiles: EnvFiles;
  let writer: EnvWriter;
  const current = () => envFiles.readCurrent("a")?.variables.get("TOKEN")?.expose().toString();

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "murmur-writer-"));
    const { agentsDirectory } = prepareRunDir(join(base, "run"), user.uid);
    envFiles = createEnvFiles({ agentsDirectory, uid: user.uid });
    writer = new EnvWriter({ envFiles, user, clock: systemClock, log: silentLog });
  });
  afterEach(() => {
    envFiles.close();
    rmSync(base, { recursive: true });
  });

  it("puts a set in force and acks it with the fingerprint that was expected", () => {
    const ack = writer.apply(desired(2n), fetched(2n));
    expect(ack).toMatchObject({
      outcome: AckOutcome.ACK_OUTCOME_APPLIED,
      generation: 2n,
      fingerprint: fingerprintOf(2n),
    });
    expect(current()).toBe("v2");
    expect(writer.appliedOf("a")).toEqual({ generation: 2n, fingerprint: fingerprintOf(2n) });
  });

  it("refuses a generation below the applied one, and the later set stays in force", () => {
    writer.apply(desired(5n), fetched(5n));
    const ack = writer.apply(desired(4n), fetched(4n));
    expect(ack).toMatchObject({
      outcome: AckOutcome.ACK_OUTCOME_FAILED,
      reason: "open: older than what is applied",
    });
    expect(current()).toBe("v5");
  });

  it("refuses a set that is not the expected one, and the old set stays in force", () => {
    writer.apply(desired(1n), fetched(1n));
    const ack = writer.apply(desired(2n), fetched(2n, Buffer.from("other")));
    expect(ack).toMatchObject({
      outcome: AckOutcome.ACK_OUTCOME_FAILED,
      reason: "open: not the set that was expected",
    });
    expect(current()).toBe("v1");
  });

  it("says why a set did not come", () => {
    const refused = { agentId: "a", generation: 1n, refusal: "not-available" } as const;
    expect(writer.apply(desired(1n), refused)).toMatchObject({
      outcome: AckOutcome.ACK_OUTCOME_FAILED,
      reason: "fetch: the generation is not available",
    });
  });

  it("finds damage and what an earlier daemon left, by looking at the disk", () => {
    writer.apply(desired(3n), fetched(3n));
    const next = new EnvWriter({ envFiles, user, clock: systemClock, log: silentLog });
    next.inspect(["a"]);
    expect(next.appliedOf("a")).toEqual({ generation: 3n, fingerprint: fingerprintOf(3n) });
    expect(next.isDamaged("a")).toBe(false);
    rmSync(join(envFiles.directoryOf("a"), "..data", "env"));
    next.inspect(["a"]);
    expect(next.isDamaged("a")).toBe(true);
  });

  it("says damage once, until it is repaired, and repairs receipts that the agent cut off", () => {
    const lines: string[] = [];
    const log = createLog("test", "info", { write: (line) => lines.push(line) });
    writer = new EnvWriter({ envFiles, user, clock: systemClock, log });
    for (const times of [1, 2]) {
      writer.apply(desired(3n), fetched(3n));
      truncateSync(join(envFiles.directoryOf("a"), "receipts"));
      expect(envFiles.readReceipts("a")).toHaveLength(0);
      writer.inspect(["a"]);
      writer.inspect(["a"]);
      expect(lines.filter((line) => line.includes("receipts: "))).toHaveLength(times);
      expect(writer.isDamaged("a")).toBe(true);
    }
    writer.apply(desired(3n), fetched(3n));
    writer.inspect(["a"]);
    expect(writer.isDamaged("a")).toBe(false);
    expect(envFiles.readReceipts("a")).toHaveLength(4096 * 64);
  });

  describe("with a set that was staged", () => {
    const swaps: bigint[] = [];
    const generationsOnDisk = () =>
      readdirSync(envFiles.directoryOf("a")).filter((name) => name.startsWith("..g")).length;

    beforeEach(() => {
      swaps.length = 0;
      const spied: EnvFiles = {
        ...envFiles,
        swap(rendered, owner) {
          swaps.push(rendered.generation);
          return envFiles.swap(rendered, owner);
        },
      };
      writer = new EnvWriter({ envFiles: spied, user, clock: systemClock, log: silentLog });
      writer.apply(desired(1n), fetched(1n));
      writer.stage(desired(1n), fetched(2n));
    });

    it("only puts it in force", () => {
      expect(current()).toBe("v1");
      const ack = writer.apply(desired(2n), fetched(2n));
      expect(ack).toMatchObject({ outcome: AckOutcome.ACK_OUTCOME_APPLIED, generation: 2n });
      expect(current()).toBe("v2");
      expect(swaps).toEqual([1n]);
    });

    it("takes another generation, or another set of the same one, from itself", () => {
      expect(writer.apply(desired(3n), fetched(3n)).generation).toBe(3n);
      expect(current()).toBe("v3");
      writer.stage(desired(3n), fetched(4n, Buffer.from("other")));
      expect(writer.apply(desired(4n), fetched(4n)).generation).toBe(4n);
      expect(current()).toBe("v4");
      expect(swaps).toEqual([1n, 3n, 4n]);
      expect(generationsOnDisk()).toBe(3);
    });

    it("writes it again when something happened to it", () => {
      for (const name of readdirSync(envFiles.directoryOf("a")))
        if (name.startsWith("..g2")) rmSync(join(envFiles.directoryOf("a"), name, "env"));
      rmSync(join(envFiles.directoryOf("a"), "page"));
      writer.inspect(["a"]);
      writer.apply(desired(2n), fetched(2n));
      writer.inspect(["a"]);
      expect(writer.isDamaged("a")).toBe(false);
      expect(current()).toBe("v2");
    });

    it("keeps one at a time, none that is no news, and forgets it when told to", () => {
      writer.stage(desired(1n), fetched(3n));
      expect(generationsOnDisk()).toBe(2);
      writer.unstage("a", 2n);
      expect(generationsOnDisk()).toBe(2);
      writer.unstage("a", 3n);
      expect(generationsOnDisk()).toBe(1);
      writer.stage(desired(1n), fetched(1n));
      expect(generationsOnDisk()).toBe(1);
    });
  });
});
