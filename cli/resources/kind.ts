import { UsageError } from "../errors";
import { KINDS } from "../syntax/options";

export type Kind = (typeof KINDS)[number];

/** What `set`, `get` and `rm` are about. */
export function parseKind(text: string): Kind {
  const kind = KINDS.find((known) => known === text);
  if (kind === undefined) throw new UsageError(`kind must be one of ${KINDS.join(", ")}`);
  return kind;
}
