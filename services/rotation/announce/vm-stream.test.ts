import type { WatchVmResponse } from "../../../gen/murmur/rotation/v1/vm_sync";
import { unavailable } from "../../../lib/errors";
import { eventually } from "../../../test/harness/eventually";
import type { LaunchableAgent } from "../agents/domain/agent";
import { createVmStream } from "./vm-stream";
import { createVmStreams } from "./vm-streams";

function agent(id: string, change: Partial<LaunchableAgent> = {}): LaunchableAgent {
  return {
    ...{ tenantId: "t1", id, workspace: "backend", slug: id, path: id, parentId: undefined },
    ...{ rootId: id, ancestorIds: [], vmId: "vm", vmName: "vm-1", developer: "github/alice" },
    ...{ phase: "running", killRequested: false, desired: 1n, desiredAt: undefined },
    ...{ applied: 0n, appliedAt: undefined, failure: undefined, exit: undefined },
    ...{ createdAt: new Date(0), endedAt: undefined, reportedAt: undefined, revision: 1n },
    ...{ command: ["/bin/true"], workingDirectory: "", fingerprint: Buffer.alloc(32) },
    ...{ binding: Buffer.alloc(0), launchMac: Buffer.alloc(0), expectsSpawnSecrets: false },
    ...change,
  };
}

/** What was sent, as short words: `all a1 b2`, `some a3`, `beat`. */
function words(sent: readonly WatchVmResponse[]): string[] {
  return sent.map(({ message }) => {
    if (message?.$case === "coming")
      return ["soon", ...message.value.agents.map((it) => `${it.agentId}${it.generation}`)].join(
        " ",
      );
    if (message?.$case !== "desired") return "beat";
    const agents = message.value.agents.map((it) => `${it.agentId}${it.generation}`);
    return [message.value.complete ? "all" : "some", ...agents].join(" ");
  });
}

function open(hold?: Promise<void>) {
  const sent: WatchVmResponse[] = [];
  const time = { ms: 0 };
  const send = async (response: WatchVmResponse) => {
    sent.push(response);
    await hold;
  };
  const stream = createVmStream(send, { monotonicMs: () => time.ms });
  return { stream, sent, time };
}

describe("a VM's stream", () => {
  it("says nothing before the whole state, and what changed meanwhile after it", async () => {
    const { stream, sent } = open();
    stream.offer([agent("a", { desired: 2n, revision: 2n })], "");
    stream.heartbeat(5);
    expect(sent).toEqual([]);
    stream.begin([agent("a")]);
    await eventually(() => expect(words(sent)).toEqual(["all a1", "some a2", "beat"]));
  });

  it("does not say again what the whole state has said", async () => {
    const { stream, sent } = open();
    stream.offer([agent("a", { revision: 2n })], "");
    stream.begin([agent("a", { revision: 3n, desired: 3n })]);
    stream.heartbeat(0);
    await eventually(() => expect(words(sent)).toEqual(["all a3", "beat"]));
  });

  it("says what may come before what changed, and neither before the whole state", async () => {
    const { stream, sent } = open();
    stream.foretell([{ agentId: "a", generation: 2n, sealedAhead: Buffer.from("sealed") }]);
    stream.offer([agent("a", { desired: 2n, revision: 2n })], "");
    expect(sent).toEqual([]);
    stream.begin([agent("a")]);
    await eventually(() => expect(words(sent)).toEqual(["all a1", "soon a2", "some a2"]));
  });

  it("never says an older state of an agent after a newer one", async () => {
    const { stream, sent } = open();
    stream.begin([]);
    stream.offer([agent("a", { revision: 3n, desired: 3n })], "");
    await eventually(() => expect(words(sent)).toEqual(["all", "some a3"]));
    stream.offer([agent("a", { revision: 2n, desired: 2n })], "");
    stream.heartbeat(0);
    await eventually(() => expect(words(sent)).toEqual(["all", "some a3", "beat"]));
  });

  it("names changes to agents that the whole state does not list, instead of sending them", async () => {
    const { stream, sent } = open();
    stream.offer([agent("over", { revision: 9n }), agent("a", { revision: 2n })], "");
    expect(stream.begin([agent("a")])).toEqual(["over"]);
    await eventually(() => expect(words(sent)).toEqual(["all a1", "some a1"]));
  });

  it("keeps one state of each agent for a VM that reads slowly", async () => {
    let release: () => void = () => undefined;
    const { stream, sent } = open(new Promise((resolve) => (release = resolve)));
    stream.begin([]);
    for (let n = 1n; n <= 50n; n++) stream.offer([agent("a", { revision: n, desired: n })], "");
    expect(words(sent)).toEqual(["all"]);
    release();
    await eventually(() => expect(words(sent)).toEqual(["all", "some a50"]));
  });

  it("begins anew with the whole state when rows may have been missed", async () => {
    const { stream, sent } = open();
    stream.begin([agent("a", { revision: 5n })]);
    stream.hold();
    stream.offer([agent("a", { revision: 6n, desired: 6n })], "");
    stream.begin([agent("a", { revision: 5n, desired: 5n })]);
    await eventually(() => expect(words(sent)).toEqual(["all a1", "all a5", "some a6"]));
  });

  it("carries the trace of the call that changed the state", async () => {
    const { stream, sent } = open();
    stream.begin([]);
    stream.offer([agent("a")], "00-trace");
    await eventually(() =>
      expect(sent[1]?.message).toMatchObject({ value: { traceparent: "00-trace" } }),
    );
  });

  it("that nobody reads is cut off, and the VM comes back", async () => {
    const time = { ms: 0 };
    const streams = createVmStreams({ monotonicMs: () => time.ms });
    const vm = { tenantId: "t1", vmId: "vm" };
    const stream = streams.register(vm, () => new Promise(() => undefined));
    stream.begin([]);
    time.ms = 9_000;
    streams.heartbeat(0);
    time.ms = 11_000;
    streams.heartbeat(0);
    await expect(stream.closed).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("ends with the reason that it was closed for, and sends nothing more", async () => {
    const { stream, sent } = open();
    stream.close(unavailable("enough"));
    stream.begin([agent("a")]);
    await expect(stream.closed).rejects.toMatchObject({ message: "enough" });
    expect(sent).toEqual([]);
  });
});
