import { type Credential } from "../../gen/murmur/rotation/v1/credentials";
import { type Rotation } from "../connect-rotation";
import { LocalError } from "../errors";
import { AGENT_TOKEN, API_KEY, type KeyKind } from "./kind";

/** What an answer has to bring. */
export function requireCredential(credential: Credential | undefined): Credential {
  if (!credential) throw new Error("the service answered without a credential");
  return credential;
}

/** The credential, which has to be of the kind that the command is about. */
export async function requireKind(
  { credentials }: Pick<Rotation, "credentials">,
  { kind, word }: KeyKind,
  credentialId: string,
): Promise<Credential> {
  const answer = await credentials.getCredential({ credentialId });
  const credential = requireCredential(answer.credential);
  if (credential.kind === kind) return credential;
  const other = kind === API_KEY.kind ? AGENT_TOKEN : API_KEY;
  throw new LocalError(
    `${credentialId} is no ${word} but an ${other.word}`,
    `Use murmur ${other.group}.`,
  );
}
