import { isAppError, type AppError } from "../lib/errors";
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
    const hint = hintFor(error, secret);
    throw hint === undefined ? error : new HintedError(error, hint);
  }
}

function hintFor(
  { message, metadata: { field } }: AppError,
  { name, isDeletion, isEmpty }: { name: string; isDeletion?: boolean; isEmpty?: boolean },
): string | undefined {
  if (field === "name") return nameHint(name, message, isDeletion === true);
  if (field === "description") return "Shorten the description field to 1024 bytes or fewer.";
  if (field !== "plaintext_value") return undefined;
  return isEmpty
    ? "The write request is missing the secret value. Provide plaintext_value."
    : "A value is at most 64 KiB and holds no NUL byte.";
}

/** A good name can be refused for more than one reason, which only the message tells apart. */
function nameHint(name: string, message: string, isDeletion: boolean): string | undefined {
  const isOurs = name.startsWith("MURMUR_");
  if (isDeletion && (name === "GH_TOKEN" || isOurs)) return "Reserved secrets cannot be deleted.";
  if (name === "GH_TOKEN") return "GH_TOKEN is provided automatically. You do not need to set it.";
  if (isOurs) return "Choose a name that does not start with MURMUR_.";
  if (message.includes("changes how programs start"))
    return "Choose a name that no program reads when it starts.";
  if (message.includes("fill one variable"))
    return "Choose another name, or delete the other secret.";
  if (/^[A-Z][A-Z0-9_]*$/.test(name)) return undefined;
  return "Use uppercase letters, digits, and underscores only. The name must start with a letter.";
}
