import { ErrorReason } from "../gen/murmur/errors/v1/error_reason";
import { failedPrecondition } from "../lib/errors";
import type { FakeRotation } from "../test/fakes/fake-rotation";
import type { TestCli } from "../test/harness/murmur-cli";
import { useRolloutRig } from "../test/harness/rollout-rig";

const rig = useRolloutRig();
const { murmur } = rig;
let cli: TestCli;
let rotation: FakeRotation;

beforeEach(() => {
  ({ cli, rotation } = rig);
});

describe("murmur rekey that is refused", () => {
  it("says that there is no such agent, and how to find one", async () => {
    expect(await murmur("rekey fix-oauth")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'murmur: rekey fix-oauth: NOT_FOUND: no agent "fix-oauth" in workspace "backend"\n' +
        "Check the slug spelling. Use murmur ls to see running agents.\n",
    });
  });

  it("says that the token is missing or expired, and what to run", async () => {
    const directory = cli.configured({ rotation: rotation.address, workspace: "b", token: "old" });
    expect(await murmur("rekey fix-auth", { cwd: directory })).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "murmur: rekey fix-auth: UNAUTHENTICATED: identity token is missing or expired\n" +
        "Run murmur auth or check your murmur.local.yaml configuration.\n",
    });
  });

  it("is one line on a VM, whatever else was typed", async () => {
    for (const words of ["rekey fix-auth", "rekey", "rekey --nonsense x y"]) {
      expect(await murmur(words, { env: { MURMUR_AGENT: "fix-auth" } })).toEqual({
        code: 1,
        stdout: "",
        stderr: "rekey is not supported on VMs\n",
      });
    }
  });

  it("names the three places of a workspace when none has one, exit 2", async () => {
    const directory = cli.configured({ rotation: rotation.address });
    const { code, stderr } = await murmur("rekey fix-auth", { cwd: directory });
    expect(code).toBe(2);
    for (const place of ["--workspace", "murmur.local.yaml", "murmur.yaml"])
      expect(stderr).toContain(place);
  });

  it("repeats what the service says about an agent that is over", async () => {
    const over = ErrorReason.ERROR_REASON_AGENT_ENDED;
    rotation.rekeyFailures.push(failedPrecondition(over, 'agent "fix-auth" is completed'));
    const { code, stderr } = await murmur("rekey fix-auth");
    expect(code).toBe(1);
    expect(stderr).toContain(
      'murmur: rekey fix-auth: FAILED_PRECONDITION: agent "fix-auth" is completed\n',
    );
  });

  it("prints nothing of a service's words that could steer the terminal", async () => {
    const over = ErrorReason.ERROR_REASON_AGENT_ENDED;
    rotation.rekeyFailures.push(failedPrecondition(over, "bad \u001b[2J\u202e\nthing"));
    const { stderr } = await murmur("rekey fix-auth");
    expect(stderr).toContain("bad \\x1b[2J\\u202e\\nthing");
  });
});
