import { FakeClock } from "../../../test/fakes/fake-clock";
import type {
  EnvironmentSource,
  OpenedEnvironment,
  FetchedEnvironment,
} from "./environment-source";
import { createForesight } from "./foresight";
import type { Fetch } from "./plan";

const NOTHING = Buffer.alloc(0);
const sealedAhead = Buffer.from("sealed");
const never = new AbortController().signal;

function fetched({ agentId, generation }: Fetch, how: string): OpenedEnvironment {
  const fingerprint = Buffer.from(how);
  const set = { agentId, generation, variables: [], unset: [], fingerprint: how };
  return { agentId, generation, set, fingerprint };
}

/** How each result came: `a1 opened`. */
function words(results: readonly FetchedEnvironment[]): string[] {
  return results.map((it) => {
    const how = "set" in it ? it.fingerprint.toString() : it.refusal;
    return `${it.agentId}${it.generation} ${how}`;
  });
}

function createRig() {
  const asked: string[] = [];
  const clock = new FakeClock();
  const rig = {
    asked,
    dropped: [] as string[],
    clock,
    canOpen: true,
    answer: (refs: readonly Fetch[]): Promise<FetchedEnvironment[]> =>
      Promise.resolve(refs.map((ref) => fetched(ref, "fetched"))),
  };
  const source: EnvironmentSource = {
    openAhead: (ref) => (rig.canOpen ? fetched(ref, "opened") : undefined),
    fetch(refs) {
      asked.push(refs.map(({ agentId, generation }) => `${agentId}${generation}`).join(" "));
      return rig.answer(refs);
    },
  };
  const onDropped = (ref: Fetch) => rig.dropped.push(`${ref.agentId}${ref.generation}`);
  return { foresight: createForesight({ source, clock, onDropped }), rig };
}

describe("foresight", () => {
  const a2 = { agentId: "a", generation: 2n };
  const b2 = { agentId: "b", generation: 2n };

  it("gives out what was sealed ahead without asking the catalog, and asks for the rest", async () => {
    const { foresight, rig } = createRig();
    foresight.foresee([{ ...a2, sealedAhead }], never);
    expect(words(await foresight.fetch([a2, b2], never))).toEqual(["a2 opened", "b2 fetched"]);
    expect(rig.asked).toEqual(["b2"]);
  });

  it("asks at once for what was announced without a set, and only once", async () => {
    const { foresight, rig } = createRig();
    foresight.foresee([{ ...a2, sealedAhead: NOTHING }], never);
    expect(rig.asked).toEqual(["a2"]);
    expect(words(await foresight.fetch([a2], never))).toEqual(["a2 fetched"]);
    expect(rig.asked).toEqual(["a2"]);
  });

  it("asks the catalog when what was sealed does not open", async () => {
    const { foresight, rig } = createRig();
    rig.canOpen = false;
    foresight.foresee([{ ...a2, sealedAhead }], never);
    expect(words(await foresight.fetch([a2], never))).toEqual(["a2 fetched"]);
  });

  it("never gives out another generation than the one that is asked for", async () => {
    const { foresight } = createRig();
    foresight.foresee([{ ...a2, sealedAhead }], never);
    const a3 = { agentId: "a", generation: 3n };
    expect(words(await foresight.fetch([a3], never))).toEqual(["a3 fetched"]);
  });

  it("gives out a set once, so that a repair fetches it anew", async () => {
    const { foresight } = createRig();
    foresight.foresee([{ ...a2, sealedAhead }], never);
    await foresight.fetch([a2], never);
    expect(words(await foresight.fetch([a2], never))).toEqual(["a2 fetched"]);
  });

  it("asks again for what failed or was refused when it was asked for ahead", async () => {
    const { foresight, rig } = createRig();
    const good = rig.answer;
    rig.answer = () => Promise.reject(new Error("away"));
    foresight.foresee([{ ...a2, sealedAhead: NOTHING }], never);
    rig.answer = (refs) => Promise.resolve(refs.map((ref) => ({ ...ref, refusal: "away" })));
    foresight.foresee([{ ...b2, sealedAhead: NOTHING }], never);
    rig.answer = good;
    expect(words(await foresight.fetch([a2, b2], never))).toEqual(["a2 fetched", "b2 fetched"]);
  });

  it("drops what nobody asks for, since it holds values", async () => {
    const { foresight, rig } = createRig();
    foresight.foresee([{ ...a2, sealedAhead }], never);
    await rig.clock.advance(5_000);
    expect(words(await foresight.fetch([a2], never))).toEqual(["a2 fetched"]);
    expect(rig.dropped).toEqual(["a2"]);
  });

  it("tells of a generation that gave way to a later one, and of none that was asked for", async () => {
    const { foresight, rig } = createRig();
    const a3 = { agentId: "a", generation: 3n };
    foresight.foresee([{ ...a2, sealedAhead }], never);
    foresight.foresee([{ ...a3, sealedAhead }], never);
    expect(rig.dropped).toEqual(["a2"]);
    await foresight.fetch([a3], never);
    await rig.clock.advance(5_000);
    expect(rig.dropped).toEqual(["a2"]);
  });
});
