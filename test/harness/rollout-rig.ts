import { ReloadOutcome, type ReloadResult } from "../../gen/murmur/rotation/v1/agents";
import { TargetState } from "../../gen/murmur/rotation/v1/rollouts";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../fakes/fake-rotation";
import { eventually } from "./eventually";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "./murmur-cli";

/** The command and a rotation with the agents `fix-auth` and `fix-auth/tests`, anew for each test. */
export interface RolloutRig {
  cli: TestCli;
  rotation: FakeRotation;
  /** Where the configuration is. */
  cwd: string;
  murmur: (words: string, call?: CliCall) => Promise<CliRun>;
  /** Until the command watches its rollout. */
  watched: () => Promise<void>;
}

/** What a target becomes when its VM has acked. */
export const APPLIED = { state: TargetState.TARGET_STATE_APPLIED, ackedAt: new Date() };

/** How the programs of an agent were told of its change. */
export const RELOADED: ReloadResult = {
  ...{ generation: 2n, outcome: ReloadOutcome.RELOAD_OUTCOME_DONE, reason: "" },
  at: new Date("2026-01-02T03:04:05Z"),
};
export const RELOAD_FAILED: ReloadResult = {
  ...RELOADED,
  outcome: ReloadOutcome.RELOAD_OUTCOME_FAILED,
  reason: "hook: exit 3",
};
export const RELOADING = { ...RELOADED, outcome: ReloadOutcome.RELOAD_OUTCOME_RUNNING };

/** Sets it up and takes it down around the tests of the file that calls this. */
export function useRolloutRig(): RolloutRig {
  const rig = {
    murmur: (words, call = {}) => rig.cli.run(words.split(" "), { cwd: rig.cwd, ...call }),
    watched: () =>
      eventually(() => {
        expect(rig.rotation.watchers()).toBe(1);
      }),
  } as RolloutRig;
  beforeAll(async () => {
    rig.cli = await buildTestCli();
  });
  afterAll(() => {
    rig.cli.remove();
  });
  beforeEach(async () => {
    rig.rotation = await startFakeRotation();
    rig.rotation.agents.push(
      fakeAgent({ path: "fix-auth" }),
      fakeAgent({ path: "fix-auth/tests" }),
    );
    rig.cwd = rig.cli.configured({
      rotation: rig.rotation.address,
      workspace: "backend",
      token: await rig.rotation.token(),
    });
  });
  afterEach(() => rig.rotation.stop());
  return rig;
}
