import { type Peer } from "../linux/peer";
import { identifyCaller } from "./identify-caller";

const peerOf = (uid: number, answers: boolean[] = [true]): Peer => ({
  ...{ pid: 42, startTime: 7, uid, gid: uid },
  isStillThere: () => answers.shift() ?? false,
  release: () => undefined,
});

test("a pid that went to an agent's process after the connect does not make its maker the agent", () => {
  const facts = { agentOf: (): string => "agent", userOf: (): number => 1000, ownUid: 0 };
  expect(identifyCaller(peerOf(1000, [false]), facts)).toBeUndefined();
  expect(identifyCaller(peerOf(0, [false]), facts)).toBeUndefined();
});

test("an agent of the daemon's own user, or of root, is the agent and not an operator", () => {
  const facts = { agentOf: (): string => "agent", userOf: (): number => 1000, ownUid: 1000 };
  expect(identifyCaller(peerOf(1000), facts)).toEqual({ kind: "agent", agentId: "agent" });
  expect(identifyCaller(peerOf(0), facts)).toEqual({ kind: "agent", agentId: "agent" });
});

test("a process of another user is nobody, also in an agent's tree", () => {
  const facts = { agentOf: (): string => "agent", userOf: (): number => 1000, ownUid: 500 };
  expect(identifyCaller(peerOf(1001), facts)).toBeUndefined();
  expect(identifyCaller(peerOf(500), facts)).toBeUndefined();
});

test("outside of agents, only root and the daemon's user are anybody", () => {
  const facts = { agentOf: (): undefined => undefined, userOf: () => undefined, ownUid: 1000 };
  expect(identifyCaller(peerOf(1000), facts)).toEqual({ kind: "operator" });
  expect(identifyCaller(peerOf(0), facts)).toEqual({ kind: "operator" });
  expect(identifyCaller(peerOf(1001), facts)).toBeUndefined();
});
