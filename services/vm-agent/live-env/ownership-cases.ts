/** One generation as a case states it. */
export interface CaseSet {
  generation: number;
  set: Record<string, string>;
}

/** What a program has, what it meets, and what it must have then. */
export interface OwnershipCase {
  name: string;
  /** The agent's generations so far, oldest first; the last one is in force. */
  delivered: readonly CaseSet[];
  /** The generation of the block: MURMUR_GENERATION. Absent: the block has no marker. */
  blockGeneration?: number;
  block: Record<string, string>;
  /** What the block must be after the layer looked; MURMUR_* names are left out. */
  expected: Record<string, string>;
}

const gen = (generation: number, set: Record<string, string>): CaseSet => ({ generation, set });
const LONG = "x".repeat(60_000);

/** The rules of "Who owns a name" (README), one case each. Every layer passes all of them. */
export const OWNERSHIP_CASES: readonly OwnershipCase[] = [
  {
    name: "a value of the generation before is replaced",
    delivered: [gen(1, { TOKEN: "old" }), gen(2, { TOKEN: "new" })],
    blockGeneration: 1,
    block: { TOKEN: "old", OTHER: "kept" },
    expected: { TOKEN: "new", OTHER: "kept" },
  },
  {
    name: "a value of long ago is replaced, too",
    delivered: [1, 2, 3, 4, 5, 6].map((n) => gen(n, { TOKEN: `value-${String(n)}` })),
    blockGeneration: 1,
    block: { TOKEN: "value-1" },
    expected: { TOKEN: "value-6" },
  },
  {
    name: "a value that the process set itself is left alone",
    delivered: [gen(1, { TOKEN: "old" }), gen(2, { TOKEN: "new" })],
    blockGeneration: 1,
    block: { TOKEN: "mine" },
    expected: { TOKEN: "mine" },
  },
  {
    name: "a value of the same length that was never delivered is left alone",
    delivered: [gen(1, { TOKEN: "old" }), gen(2, { TOKEN: "new" })],
    blockGeneration: 1,
    block: { TOKEN: "odd" },
    expected: { TOKEN: "odd" },
  },
  {
    name: "an earlier value in a block of the present generation is healed",
    delivered: [gen(1, { TOKEN: "old", B: "1" }), gen(2, { TOKEN: "new", B: "2" })],
    blockGeneration: 2,
    block: { TOKEN: "old", B: "2" },
    expected: { TOKEN: "new", B: "2" },
  },
  {
    name: "a value that was delivered earlier and comes back is a restore",
    delivered: [gen(1, { TOKEN: "a" }), gen(2, { TOKEN: "b" }), gen(3, { TOKEN: "a" })],
    blockGeneration: 2,
    block: { TOKEN: "b" },
    expected: { TOKEN: "a" },
  },
  {
    name: "a name that vanished is removed",
    delivered: [gen(1, { TOKEN: "old", KEPT: "k" }), gen(2, { KEPT: "k" })],
    blockGeneration: 1,
    block: { TOKEN: "old", KEPT: "k" },
    expected: { KEPT: "k" },
  },
  {
    name: "a name that vanished generations ago is removed",
    delivered: [gen(1, { TOKEN: "old", KEPT: "k" }), gen(2, { KEPT: "k" }), gen(3, { KEPT: "l" })],
    blockGeneration: 1,
    block: { TOKEN: "old", KEPT: "k" },
    expected: { KEPT: "l" },
  },
  {
    name: "a name that vanished is not removed from a process that set it itself",
    delivered: [gen(1, { TOKEN: "old", KEPT: "k" }), gen(2, { KEPT: "k" })],
    blockGeneration: 1,
    block: { TOKEN: "mine", KEPT: "k" },
    expected: { TOKEN: "mine", KEPT: "k" },
  },
  {
    name: "a name that appeared after the block's generation is added",
    delivered: [gen(1, { A: "1" }), gen(2, { A: "1", B: "2" })],
    blockGeneration: 1,
    block: { A: "1" },
    expected: { A: "1", B: "2" },
  },
  {
    name: "a name that the process removed on purpose stays away",
    delivered: [gen(1, { A: "1", SECRET_KEY: "s" }), gen(2, { A: "2", SECRET_KEY: "t" })],
    blockGeneration: 1,
    block: { A: "1" },
    expected: { A: "2" },
  },
  {
    name: "a name that vanished and came back is added",
    delivered: [gen(1, { A: "1", B: "b" }), gen(2, { A: "1" }), gen(3, { A: "1", B: "c" })],
    blockGeneration: 2,
    block: { A: "1" },
    expected: { A: "1", B: "c" },
  },
  {
    name: "a block without the marker is left alone",
    delivered: [gen(1, { TOKEN: "old" }), gen(2, { TOKEN: "new" })],
    block: { TOKEN: "old" },
    expected: { TOKEN: "old" },
  },
  {
    name: "a block that is ahead of the file is left alone",
    delivered: [gen(1, { TOKEN: "old" }), gen(2, { TOKEN: "new" })],
    blockGeneration: 3,
    block: { TOKEN: "old" },
    expected: { TOKEN: "old" },
  },
  {
    name: "newlines, quotes, backslashes, dollars and non-ASCII arrive byte for byte",
    delivered: [
      gen(1, { PEM: "-----BEGIN\n'old'\n", ODD: '$HOME `id` \\ "q" = # ü', EMPTYISH: " " }),
      gen(2, { PEM: "-----BEGIN\n'new'\\\n\n", ODD: "!! $(id) ${x} \t ☂ 'q' \\n", EMPTYISH: "  " }),
    ],
    blockGeneration: 1,
    block: { PEM: "-----BEGIN\n'old'\n", ODD: '$HOME `id` \\ "q" = # ü', EMPTYISH: " " },
    expected: {
      PEM: "-----BEGIN\n'new'\\\n\n",
      ODD: "!! $(id) ${x} \t ☂ 'q' \\n",
      EMPTYISH: "  ",
    },
  },
  {
    name: "a long value is replaced",
    delivered: [gen(1, { LONG: `${LONG}1` }), gen(2, { LONG: `${LONG}2` })],
    blockGeneration: 1,
    block: { LONG: `${LONG}1` },
    expected: { LONG: `${LONG}2` },
  },
];
