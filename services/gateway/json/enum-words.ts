import type { DescEnum } from "@bufbuild/protobuf";

/** The words of an enum in JSON, by number: `CREDENTIAL_STATE_IN_GRACE` is `in_grace`. */
export function enumWords(type: DescEnum): ReadonlyMap<number, string> {
  const prefix = type.sharedPrefix ?? "";
  const named = type.values.filter(({ number }) => number !== 0);
  return new Map(
    named.map(({ number, name }) => [number, name.toLowerCase().slice(prefix.length)]),
  );
}
