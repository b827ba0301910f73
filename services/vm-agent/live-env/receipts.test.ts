import { findReceipt, SLOT_BYTES } from "./receipts";

const STACK = 0x7fff_1234_5670;
const PROCESS = { pid: 4711, startTime: 99, stackStart: STACK };

function fileWith(slot: number, change: (slot: Buffer) => void = () => undefined): Buffer {
  const file = Buffer.alloc(4096 * SLOT_BYTES);
  const receipt = file.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
  receipt.writeUInt32LE(PROCESS.pid, 0);
  receipt.writeUInt32LE(3, 4);
  receipt.writeBigUInt64LE(BigInt(PROCESS.startTime), 8);
  receipt.writeBigUInt64LE(17n, 16);
  receipt.writeUInt32LE(1, 24);
  receipt.writeBigUInt64LE(1_700_000_000_123_456_789n, 32);
  receipt.writeBigUInt64LE(BigInt(STACK), 56);
  change(receipt);
  return file;
}

describe("a receipt", () => {
  it("is found in the slot of its process, and in the seven that follow", () => {
    const expected = {
      layer: "node",
      generation: 17n,
      readsThrough: true,
      notAppliedNatively: false,
      firstUsedAt: new Date(1_700_000_000_123),
      lastUsedBeforeAt: undefined,
    };
    for (let probe = 0; probe < 8; probe++)
      expect(findReceipt(fileWith((4711 + probe) % 4096), PROCESS)).toEqual(expected);
    expect(findReceipt(fileWith((4711 + 8) % 4096), PROCESS)).toBeUndefined();
  });

  it("of an earlier process with the same pid is none of this one", () => {
    expect(findReceipt(fileWith(615), { ...PROCESS, startTime: 100 })).toBeUndefined();
  });

  it.each([
    ["is what the program said", STACK, STACK, true],
    ["of the program before it is not the word of the present one", STACK, STACK + 16, false],
    ["that names no program is nobody's word", 0, STACK, false],
    ["counts where the kernel does not show which program it is", STACK, 0, true],
  ])("%s", (_, said, stackStart, isBelieved) => {
    const file = fileWith(615, (slot) => slot.writeBigUInt64LE(BigInt(said), 56));
    expect(findReceipt(file, { ...PROCESS, stackStart }) !== undefined).toBe(isBelieved);
  });

  it("that makes no sense is none, whatever the agent wrote", () => {
    const garbled = [
      (slot: Buffer) => slot.writeUInt32LE(9, 4),
      (slot: Buffer) => slot.writeUInt32LE(0, 4),
      (slot: Buffer) => slot.writeBigUInt64LE(0n, 16),
      (slot: Buffer) => slot.fill(0xff, 16, 24),
    ];
    for (const change of garbled)
      expect(findReceipt(fileWith(615, change), PROCESS)).toBeUndefined();
    expect(findReceipt(fileWith(615).subarray(0, 615 * SLOT_BYTES + 10), PROCESS)).toBeUndefined();
    const late = fileWith(615, (slot) => slot.fill(0xff, 32, 40));
    expect(findReceipt(late, PROCESS)?.firstUsedAt).toBeUndefined();
  });
});
