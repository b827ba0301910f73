import type { VmContact } from "../../rollouts/domain/rollout";
import { isTerminal } from "../../protocol";
import type { Agent } from "./agent";

export type HopName = "desired" | "announced" | "vm" | "fetched" | "swapped" | "acked";
export type HopState = "done" | "waiting" | "failed" | "not-reached";

/** One hop from the wish to the file. */
export interface Hop {
  name: HopName;
  state: HopState;
  detail: string;
  at?: Date | undefined;
}

export interface Explanation {
  hops: Hop[];
  summary: string;
}

const NAMES: readonly HopName[] = ["desired", "announced", "vm", "fetched", "swapped", "acked"];

/** Says hop by hop how an agent's desired generation travels, and where it stands. */
export function explain(agent: Agent, vm: VmContact): Explanation {
  if (isTerminal(agent.phase)) return explainEnded(agent);
  const hops =
    agent.applied >= agent.desired && agent.desired > 0n ? arrived(agent, vm) : underWay(agent, vm);
  return { hops, summary: summarise(agent, hops) };
}

function explainEnded(agent: Agent): Explanation {
  const detail = `the agent is ${agent.phase}${exitText(agent)}`;
  const hops = NAMES.map((name): Hop => ({ name, state: "not-reached", detail }));
  const summary = `agent "${agent.path}" is ${agent.phase}${exitText(agent)}: it gets no new generation`;
  return { hops, summary };
}

/** Why it is over, when that was not a program's doing. */
function exitText({ exit }: Agent): string {
  return exit?.kind === "unknown" && exit.value !== "" ? ` (${exit.value})` : "";
}

function arrived(agent: Agent, vm: VmContact): Hop[] {
  const generation = `generation ${agent.desired}`;
  const vmDetail = `VM "${agent.vmName}" ${contactText(vm)}`;
  return [
    { name: "desired", state: "done", detail: `${generation} is wanted`, at: agent.desiredAt },
    {
      name: "announced",
      state: "done",
      detail: `${generation} was announced`,
      at: agent.desiredAt,
    },
    { name: "vm", state: "done", detail: vmDetail, at: vm.lastSeenAt },
    { name: "fetched", state: "done", detail: `${generation} was fetched` },
    { name: "swapped", state: "done", detail: `${generation} stands on the VM` },
    { name: "acked", state: "done", detail: `the VM acked ${generation}`, at: agent.appliedAt },
  ];
}

function underWay(agent: Agent, vm: VmContact): Hop[] {
  if (agent.desired === 0n) {
    const first: Hop = {
      name: "desired",
      state: "waiting",
      detail: "the agent's first environment is being made",
    };
    return [first, ...after("desired", "no generation is wanted yet")];
  }
  const generation = `generation ${agent.desired}`;
  const wanted: Hop[] = [
    { name: "desired", state: "done", detail: `${generation} is wanted`, at: agent.desiredAt },
    {
      name: "announced",
      state: "done",
      detail: `${generation} was announced to VM "${agent.vmName}"`,
      at: agent.desiredAt,
    },
  ];
  const vmHop: Hop = {
    name: "vm",
    state: vm.state === "connected" ? "done" : vm.removed ? "failed" : "waiting",
    detail: `VM "${agent.vmName}" ${contactText(vm)}`,
    at: vm.lastSeenAt,
  };
  if (vmHop.state !== "done") return [...wanted, vmHop, ...after("vm", "the VM has to come first")];
  return [...wanted, vmHop, ...onVm(agent, generation)];
}

function onVm(agent: Agent, generation: string): Hop[] {
  const { failure } = agent;
  const isRecent = failure !== undefined && failure.generation >= agent.desired;
  if (!isRecent) {
    const fetched: Hop = {
      name: "fetched",
      state: "waiting",
      detail: `the VM has not said that it fetched ${generation}`,
    };
    return [fetched, ...after("fetched", "the VM has not reported")];
  }
  const failed = /^(?:fetch|open)\b/.test(failure.reason) ? "fetched" : "swapped";
  const hop: Hop = { name: failed, state: "failed", detail: failure.reason, at: failure.at };
  const rest = after(failed, "the VM goes on trying");
  if (failed === "fetched") return [hop, ...rest];
  return [{ name: "fetched", state: "done", detail: `${generation} was fetched` }, hop, ...rest];
}

function after(name: HopName, detail: string): Hop[] {
  return NAMES.slice(NAMES.indexOf(name) + 1).map((later) => ({
    name: later,
    state: "not-reached",
    detail,
  }));
}

function contactText(vm: VmContact): string {
  if (vm.removed) return "was removed";
  if (vm.state === "never-seen") return "has never connected";
  if (vm.state === "connected") return "is connected";
  return `is offline, last seen ${vm.lastSeenAt?.toISOString() ?? "never"}`;
}

function summarise(agent: Agent, hops: readonly Hop[]): string {
  const stuck = hops.find(({ state }) => state !== "done");
  if (!stuck) return `agent "${agent.path}" is on generation ${agent.applied}, as it should be`;
  const wanted = `agent "${agent.path}" should be on generation ${agent.desired}`;
  const has = agent.applied === 0n ? "has none that is known" : `is on ${agent.applied}`;
  return `${wanted} and ${has}: ${stuck.detail}`;
}
