import { isAppError } from "../lib/errors";
import { HintedError } from "./errors";

/** Makes a call about a secret; a refusal of its name, value or description gets a hint that fits. */
export async function withSecretHint<T>(
  secret: { name: string; isDeletion?: boolean; isEmpty?: boolean },
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isAppError(error, "INVALID_ARGUMENT")) throw error;
    const hint = hintFor(error.metadata["field"], secret);
    throw hint === undefined ? error : new HintedError(error, hint);
  }
}

function hintFor(
  field: string | undefined,
  { name, isDeletion, isEmpty }: { name: string; isDeletion?: boolean; isEmpty?: boolean },
): string | undefined {
  if (field === "name") return nameHint(name, isDeletion === true);
  if (field === "description") return "Shorten the description field to 1024 bytes or fewer.";
  if (field !== "plaintext_value") return undefined;
  return isEmpty
    ? "The write request is missing the secret value. Provide plaintext_value."
    : "A value is at most 64 KiB and holds no NUL byte.";
}

function nameHint(name: string, isDeletion: boolean): string {
  const isOurs = name.startsWith("MURMUR_");
  if (isDeletion && (name === "GH_TOKEN" || isOurs)) return "Reserved secrets cannot be deleted.";
  if (name === "GH_TOKEN") return "GH_TOKEN is provided automatically. You do not need to set it.";
  if (isOurs) return "Choose a name that does not start with MURMUR_.";
  if (/^[A-Z][A-Z0-9_]*$/.test(name)) return "Choose a name that no program reads when it starts.";
  return "Use uppercase letters, digits, and underscores only. The name must start with a letter.";
}
