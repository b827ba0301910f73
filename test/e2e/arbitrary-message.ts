import {
  create,
  type DescField,
  type DescMessage,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";

const AGENT_IDS = [1, 2, 3].map((n) => `6f1f1b6e-0000-4000-8000-00000000000${n}`);

/** What often fits a field of this name, so that most messages are wrong in a field or two only. */
const FITTING: Record<string, readonly unknown[]> = {
  workspace: ["demo"],
  path: ["fuzzed"],
  slug: ["fuzzed", "fuzzed-too"],
  agent_id: AGENT_IDS,
  parent_agent_id: [""],
  caller_agent_id: [""],
  vm: ["", "fuzz-vm"],
  name: ["SECRET_A", "SECRET_B", "demo", "other-vm"],
  developer: ["owner/name"],
  working_directory: ["/", ""],
  command: [["true"], ["sleep", "1"]],
  vms: [[], ["fuzz-vm"]],
  names: [[], ["SECRET_A"]],
  page_size: [0, 1, 1000],
  page_token: [""],
  request_id: ["", "again"],
  reason: [""],
  plaintext_value: [Buffer.from("value"), Buffer.from([0xff, 0xfe])],
  delivery: [0, 1, 2],
  expected_version: [0n, 1n],
  expected_revision: [0n, 1n],
  generation: [1n, 2n],
  floor: [0n, 1n],
  confirmed: [1n],
  phase: [1, 2, 4],
  outcome: [1, 2],
  incarnation_number: [1n, 2n],
  boot_id: ["boot"],
  nonce: [new Uint8Array(16)],
  agent_hash: ["3f247b0f0ac4ecb8", "083a8bfd3307e6ba"],
  new_key_hash: ["3f247b0f0ac4ecb8", "083a8bfd3307e6ba"],
  key_hash: ["3f247b0f0ac4ecb8"],
  hash_proof: ["", "3f247b0f0ac4ecb8".repeat(4)],
  key_prefix: ["", "example-provider"],
};
/** The one machine is nowhere else, so that nothing removes it. */
const WORDS = Object.values(FITTING)
  .flat()
  .filter((it) => typeof it === "string" && it !== "fuzz-vm");
const NASTY = [
  "\0",
  "a\0b",
  "../..",
  "'; drop schema rotation cascade; --",
  "%s%n",
  "\u202e",
  "😀",
];

const shortText = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.constantFrom(...NASTY) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 80 }) },
);
const text = fc.oneof(
  { weight: 8, arbitrary: shortText },
  { weight: 1, arbitrary: fc.constantFrom(129, 1025, 70_000).map((length) => "x".repeat(length)) },
);
const int32 = fc.oneof(fc.constantFrom(0, 1, -1, 1000, 1001), fc.integer());
const int64 = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const shortBytes = fc.uint8Array({ maxLength: 80 });
const bytes = fc.oneof(
  shortBytes,
  fc.constantFrom(12, 16, 32, 64, 65_537).map((length) => new Uint8Array(length)),
);

/** Any message of this type, as it goes over the wire: every field absent or with any value. */
export function arbitraryMessage(type: DescMessage): fc.Arbitrary<Buffer> {
  return messageOf(type, 0).map((message) => Buffer.from(toBinary(type, message)));
}

function messageOf(type: DescMessage, depth: number): fc.Arbitrary<MessageShape<DescMessage>> {
  const fields = type.members.map((member) =>
    member.kind === "oneof"
      ? fc.oneof(...member.fields.map((field) => valueOf(field, depth))).map((value) => ({
          [member.localName]: value,
        }))
      : fc
          .option(valueOf(member, depth), { freq: 8, nil: undefined })
          .map(({ value } = { case: "", value: undefined }) =>
            value === undefined ? {} : { [member.localName]: value },
          ),
  );
  return fc
    .tuple(...fields)
    .map((parts) => create(type, Object.assign({}, ...parts) as Record<string, unknown>));
}

/** The value with the name that a oneof knows its field by. */
function valueOf(field: DescField, depth: number): fc.Arbitrary<{ case: string; value: unknown }> {
  return fieldValue(field, depth).map((value) => ({ case: field.localName, value }));
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const any = anyValue(field, depth);
  const fitting = FITTING[field.name];
  if (!fitting) return any;
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...fitting) },
    { weight: 1, arbitrary: any },
  );
}

function anyValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar, depth);
    case "enum":
      return enumNumber;
    case "message":
      return depth > 3 ? fc.constant(undefined) : messageOf(field.message, depth + 1);
    case "list":
      // Within a list of a thousand, another would make a message of a million.
      if (depth > 3) return fc.array(elementOf(field, depth), { maxLength: 1 });
      return fc.oneof(
        { weight: 15, arbitrary: fc.array(elementOf(field, depth), { maxLength: 4 }) },
        {
          weight: 1,
          arbitrary: elementOf(field, depth + 4).map((one) =>
            Array.from({ length: 1001 }, () => one),
          ),
        },
      );
    case "map":
      return fc.constant({});
  }
}

const enumNumber = fc.constantFrom(0, 1, 2, 3, 4, 99, -1);

function elementOf(
  field: Extract<DescField, { fieldKind: "list" }>,
  depth: number,
): fc.Arbitrary<unknown> {
  if (field.listKind === "scalar") return scalarOf(field.scalar, depth);
  if (field.listKind === "enum") return enumNumber;
  return messageOf(field.message, depth + 1);
}

/** Short within a list of a thousand. */
function scalarOf(type: ScalarType, depth: number): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return depth > 3 ? shortText : text;
    case ScalarType.BYTES:
      return depth > 3 ? shortBytes : bytes;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT32:
      return int32;
    case ScalarType.INT64:
      return int64;
    default:
      throw new Error(`the contract has no scalar of type ${ScalarType[type]} yet`);
  }
}
