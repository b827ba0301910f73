import { createByteCache } from "./byte-cache";

const bytes = (size: number) => Buffer.alloc(size);

describe("a byte cache", () => {
  it("gives back what it was given", () => {
    const cache = createByteCache(10_000);
    cache.set("a", Buffer.from("x"));
    expect(cache.get("a")).toEqual(Buffer.from("x"));
    expect(cache.get("b")).toBeUndefined();
  });

  it("forgets what was used longest ago, and stays within its size", () => {
    const cache = createByteCache(4_000);
    for (const key of ["a", "b", "c"]) cache.set(key, bytes(1_000));
    cache.get("a");
    cache.set("d", bytes(1_000));
    expect(["a", "b", "c", "d"].map((key) => cache.get(key) !== undefined)).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  it("does not take what is larger than all of it, nor throw out the rest for it", () => {
    const cache = createByteCache(4_000);
    cache.set("a", bytes(1_000));
    cache.set("huge", bytes(5_000));
    expect(cache.get("huge")).toBeUndefined();
    expect(cache.get("a")).toBeDefined();
  });

  it("counts a replaced entry once", () => {
    const cache = createByteCache(4_000);
    cache.set("keep", bytes(1_000));
    for (let round = 0; round < 100; round++) cache.set("a", bytes(1_000));
    expect(cache.get("keep")).toBeDefined();
  });
});
