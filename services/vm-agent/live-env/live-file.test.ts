import { nextLiveFile, REMEMBERED } from "./delivered";
import { encodeLiveFile, tryDecodeLiveFile, type LiveFile } from "./live-file";
import { siphash } from "./siphash";

const KEY = Buffer.from(Array.from({ length: 16 }, (_, i) => i));
const bytes = (text: string) => Buffer.from(text);

test("siphash equals the reference implementation's vectors", () => {
  const input = Buffer.from(Array.from({ length: 15 }, (_, i) => i));
  expect(siphash(KEY, input)).toBe(0xa129ca6149be45e5n);
  expect(siphash(KEY, Buffer.alloc(0))).toBe(0x726fdb47dd0e0e31n);
});

function deliver(sets: Record<string, string>[]): LiveFile {
  let file: LiveFile | undefined;
  for (const [at, set] of sets.entries()) {
    const entries = Object.entries(set).map(([name, value]) => ({ name, value: bytes(value) }));
    file = nextLiveFile(file, { generation: BigInt(at + 1), entries, newKey: KEY });
    file = tryDecodeLiveFile(encodeLiveFile(file));
  }
  if (!file) throw new Error("nothing was delivered");
  return file;
}

describe("a live file", () => {
  it("keeps what vanished, and every value that was delivered", () => {
    const file = deliver([{ A: "1", B: "b" }, { A: "2" }, { A: "1", B: "c" }]);
    expect(file.generation).toBe(3n);
    expect(file.entries.map(({ name, since }) => [name, since])).toEqual([
      ["A", 1n],
      ["B", 3n],
    ]);
    const hashes = (texts: string[]) =>
      texts.map((text) => ({ bytes: text.length, hash: siphash(KEY, bytes(text)) }));
    expect(file.entries[0]?.delivered).toEqual(hashes(["1", "2"]));
    expect(file.entries[1]?.delivered).toEqual(hashes(["c", "b"]));
  });

  it("says that a name is unset for good, and remembers a bounded number of values", () => {
    const many = Array.from({ length: REMEMBERED + 12 }, (_, i) => ({ A: String(i), Z: "z" }));
    const file = deliver([...many, { Z: "z" }, { Z: "z" }]);
    expect(file.entries[0]).toMatchObject({ name: "A" });
    expect(file.entries[0]?.value).toBeUndefined();
    expect(file.entries[0]?.delivered).toHaveLength(REMEMBERED);
  });

  it("is the same when the same generation is made again", () => {
    const first = deliver([{ A: "1" }, { A: "2" }]);
    const entries = [{ name: "A", value: bytes("2") }];
    const again = nextLiveFile(first, { generation: 2n, entries, newKey: Buffer.alloc(16) });
    expect(encodeLiveFile(again)).toEqual(encodeLiveFile(first));
  });

  it("that is cut short or garbled is none", () => {
    const whole = encodeLiveFile(deliver([{ A: "1" }]));
    for (let length = 0; length < whole.length; length++)
      expect(tryDecodeLiveFile(whole.subarray(0, length))).toBeUndefined();
    const garbled = Buffer.from(whole);
    garbled.writeUInt32LE(0xffffffff, 32);
    expect(tryDecodeLiveFile(garbled)).toBeUndefined();
  });
});
