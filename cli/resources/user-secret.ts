import { randomUUID } from "node:crypto";
import { type UserSecret } from "../../gen/murmur/catalog/v1/users";
import { isAppError } from "../../lib/errors";
import { allPages } from "../all-pages";
import { type CommandContext, type Invocation } from "../command";
import { HintedError, UsageError } from "../errors";
import { patient } from "../patient";
import { withSecretHint } from "../secret-hints";
import { secretTable, secretToJson } from "../secrets-list";
import { type Resource } from "./resource";
import { readSecretFields } from "./secret";

/** Where a developer's secret is. */
export interface UserSecretPath {
  /** `provider/username`. */
  user: string;
  name: string;
}

/** Developers' secrets, named `provider/username/NAME`. */
export const userSecretResource: Resource = {
  list: listUserSecrets,
  async get(context, text) {
    const path = parseUserSecretPath(text);
    const { users } = await context.catalog();
    const { secret } = await withListHint(() => patient(() => users.getUserSecret(path)));
    return secret ? userSecretToJson(secret) : {};
  },
  async set(context, text, read) {
    const path = parseUserSecretPath(text);
    const { value, ...fields } = readSecretFields(read);
    const plaintextValue = value.expose();
    const request = { ...path, ...fields, plaintextValue, requestId: randomUUID() };
    const { users } = await context.catalog();
    await withSecretHint({ name: path.name, isEmpty: plaintextValue.length === 0 }, () =>
      patient(() => users.setUserSecret(request)),
    );
  },
  async remove(context, text) {
    const path = parseUserSecretPath(text);
    const { users } = await context.catalog();
    await withListHint(() =>
      withSecretHint({ name: path.name, isDeletion: true }, () =>
        users.deleteUserSecret({ ...path, expectedVersion: undefined }),
      ),
    );
  },
};

/** Throws UsageError unless a text is `provider/username/NAME`; what of these may be, the catalog says. */
export function parseUserSecretPath(text: string): UserSecretPath {
  const [, user, name] = /^([^/]+\/[^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (user === undefined || name === undefined)
    throw new UsageError("a developer's secret is named PROVIDER/USERNAME/NAME");
  return { user, name };
}

/** Makes a call about a developer's secret: one that is not found is not in the tenant's list. */
export async function withListHint<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isAppError(error, "NOT_FOUND")) throw error;
    throw new HintedError(
      error,
      "Check the spelling. Use murmur get user-secret to see the names.",
    );
  }
}

async function listUserSecrets(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const { users } = await context.catalog();
  const all = await allPages(
    (page) => users.listUserSecrets({ user: "", ...page }),
    (page) => page.secrets,
  );
  if (call.flag("json")) output.json(all.map(userSecretToJson));
  else if (call.flag("long"))
    output.lines(secretTable(all.map(underPath), clock.now(), output.style.bold));
  else output.lines(all.map((secret) => underPath(secret).name));
}

function userSecretToJson(secret: UserSecret) {
  return secretToJson(underPath(secret));
}

/** The secret with its whole path for a name. */
function underPath({ user, secret }: UserSecret) {
  if (!secret) throw new Error("the service answered without a secret");
  return { ...secret, name: `${user}/${secret.name}` };
}
