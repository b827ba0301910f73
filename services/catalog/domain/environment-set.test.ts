import fc from "fast-check";
import {
  changedNames,
  mergeScopes,
  setIdOf,
  sizeFault,
  variablesOf,
  type SecretRef,
} from "./environment-set";
import { rollBack } from "./rollback";

const ref = (name: string, fields: Partial<SecretRef> = {}): SecretRef => ({
  name,
  kind: "tenant",
  versionId: `v-${name}`,
  asFile: false,
  sizeBytes: 10,
  ...fields,
});
const names = (refs: readonly SecretRef[]) => refs.map(({ name }) => name);
const anyRef = fc
  .record({
    base: fc.constantFrom("A", "B", "C"),
    suffix: fc.constantFrom("", "_FILE"),
    asFile: fc.boolean(),
  })
  .map(({ base, suffix, asFile }) => ref(base + suffix, { asFile }));

describe("scopes", () => {
  it("are merged by name, and the later wins", () => {
    const merged = mergeScopes([
      [ref("B"), ref("A", { versionId: "old" })],
      [ref("A", { versionId: "new", kind: "spawn" })],
    ]);
    expect(merged).toEqual([ref("A", { versionId: "new", kind: "spawn" }), ref("B")]);
  });

  it("never let two secrets fill one variable", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyRef)), (scopes) => {
        const merged = mergeScopes(scopes);
        expect(new Set(variablesOf(merged)).size).toBe(merged.length);
        expect(new Set(names(merged)).size).toBe(merged.length);
        expect(names(merged)).toEqual([...names(merged)].sort());
        const last = scopes.flat().at(-1);
        if (last) expect(merged).toContainEqual(last);
      }),
    );
  });

  it("let a later NAME_FILE take the place of an earlier file-delivered NAME", () => {
    const merged = mergeScopes([[ref("A", { asFile: true })], [ref("A_FILE")]]);
    expect(names(merged)).toEqual(["A_FILE"]);
  });
});

describe("a set's id", () => {
  it("differs with every part of every ref", () => {
    const variants = [
      [ref("A")],
      [ref("A", { versionId: "x" })],
      [ref("A", { kind: "spawn" })],
      [ref("A", { asFile: true })],
      [ref("A", { sizeBytes: 11 })],
      [ref("A"), ref("B")],
      [],
    ];
    expect(new Set(variants.map((refs) => setIdOf(refs).toString("hex"))).size).toBe(7);
  });
});

describe("a set's size", () => {
  it("may be 512 KiB of environment and 1,000 names", () => {
    // NAME=value and a NUL.
    expect(sizeFault([ref("A", { sizeBytes: 512 * 1024 - 3 })])).toBeUndefined();
    expect(sizeFault([ref("A", { sizeBytes: 512 * 1024 - 2 })])?.text).toContain("524288");
    const many = Array.from({ length: 1_000 }, (_, index) => ref(`N${index}`));
    expect(sizeFault(many)).toBeUndefined();
    expect(sizeFault([...many, ref("M")])?.text).toBe("has 1001 names, over the limit of 1000");
  });

  it("does not count files into the environment, but into the set", () => {
    const files = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        ref(`F${index}`, { asFile: true, sizeBytes: 65_536 }),
      );
    expect(sizeFault(files(20))).toBeUndefined();
    expect(sizeFault(files(40))?.text).toContain("with its files");
  });

  it("names the largest", () => {
    const refs = [ref("A", { sizeBytes: 1 }), ref("BIG", { sizeBytes: 600_000 })];
    expect(sizeFault(refs)?.largest).toEqual(["BIG (600000)", "A (1)"]);
  });
});

describe("what changed", () => {
  it("is what was added, replaced or dropped", () => {
    const from = [ref("A"), ref("B"), ref("C")];
    const to = [ref("A"), ref("B", { versionId: "2" }), ref("D")];
    expect(changedNames(from, to)).toEqual(["B", "C", "D"]);
    expect(changedNames(to, to)).toEqual([]);
  });
});

describe("a rollback", () => {
  const old = [ref("A", { versionId: "a1" }), ref("B", { versionId: "b1" })];
  const current = new Map([
    ["A", ref("A", { versionId: "a2" })],
    ["B", ref("B", { versionId: "b2" })],
    ["C", ref("C")],
  ]);

  it("takes the old pins and no name that came since", () => {
    const back = rollBack({ old, current, isTaken: () => true, isDead: () => false });
    expect(back).toEqual({ refs: old, kept: [] });
  });

  it("keeps the current state of what was deleted since, and lists it", () => {
    const isDead = (versionId: string) => versionId === "b1";
    expect(rollBack({ old, current, isTaken: () => true, isDead })).toEqual({
      refs: [old[0], current.get("B")],
      kept: ["B"],
    });
    const gone = rollBack({ old, current: new Map(), isTaken: () => true, isDead });
    expect(gone).toEqual({ refs: [old[0]], kept: ["B"] });
  });

  it("brings back no name that the workspace does not take any more", () => {
    const taken = new Map([...current].filter(([name]) => name !== "A"));
    const isTaken = ({ name }: SecretRef) => name !== "A";
    const back = rollBack({ old, current: taken, isTaken, isDead: () => false });
    expect(back).toEqual({ refs: [old[1]], kept: ["A"] });
  });
});
