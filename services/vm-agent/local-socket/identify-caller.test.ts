import { type Peer } from "../linux/peer";
import { identifyCaller } from "./identify-caller";

const peerOf = (uid: number, answers: boolean[] = [true]): Peer => ({
  ...{ pid: 42, startTime: 7, uid, gid: uid },
  isStillThere: () => answers.shift() ?? false,
  release: () => undefined,
});

test("a pid that went to an agent's process after the connect does not make its maker the agent", () => {
  const agentOf = (): string => "agent";
  expect(identifyCaller(peerOf(1000, [false]), { agentOf, ownUid: 0 })).toBeUndefined();
  expect(identifyCaller(peerOf(0, [false]), { agentOf, ownUid: 0 })).toBeUndefined();
});

test("an agent of the daemon's own user, or of root, is the agent and not an operator", () => {
  const facts = { agentOf: (): string => "agent", ownUid: 1000 };
  expect(identifyCaller(peerOf(1000), facts)).toEqual({ kind: "agent", agentId: "agent" });
  expect(identifyCaller(peerOf(0), facts)).toEqual({ kind: "agent", agentId: "agent" });
});

test("outside of agents, only root and the daemon's user are anybody", () => {
  const facts = { agentOf: (): undefined => undefined, ownUid: 1000 };
  expect(identifyCaller(peerOf(1000), facts)).toEqual({ kind: "operator" });
  expect(identifyCaller(peerOf(0), facts)).toEqual({ kind: "operator" });
  expect(identifyCaller(peerOf(1001), facts)).toBeUndefined();
});
