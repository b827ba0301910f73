import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { conflict, invalidFields, notFound, type AppError } from "../../../lib/errors";
import { isDeveloperName } from "../../../lib/identity/developer-name";
import { readPage, toPage, type Page } from "../../../lib/page";
import { quoted } from "../../../lib/quoted";
import type { Caller } from "../audit";
import { tokenSecretName, userFaults, type User, type UserWrite } from "../domain/user";
import type { UserStore } from "../store/user-store";

/** What can be done with developers' profiles. Who may is decided before. */
export interface Users {
  set(caller: Caller, write: UserWrite): Promise<{ user: User; warnings: string[] }>;
  get(tenantId: string, name: string): Promise<User>;
  list(tenantId: string, page: { pageSize: number; pageToken: string }): Promise<Page<User>>;
  delete(caller: Caller, name: string): Promise<void>;
}

/** Profiles over a store. */
export function createUsers(store: UserStore): Users {
  return {
    set: (caller, write) => setUser(store, caller, write),
    async get(tenantId, name) {
      const user = isDeveloperName(name) ? await store.find(tenantId, name) : undefined;
      if (!user) throw userNotFound(name);
      return user;
    },
    async list(tenantId, page) {
      const query = readPage("users", page);
      return toPage("users", await store.list(tenantId, query), query, ({ name }) => name);
    },
    async delete(caller, name) {
      const isGone = isDeveloperName(name) && (await store.delete(caller, name));
      if (!isGone) throw userNotFound(name);
    },
  };
}

async function setUser(store: UserStore, caller: Caller, write: UserWrite) {
  const faults = userFaults(write);
  if (faults.length > 0) throw invalidFields(faults);
  const { name, expectedRevision } = write;
  const githubTokenSecret = tokenSecretName(write);
  const outcome = await store.write(caller, { name, githubTokenSecret, expectedRevision });
  if (outcome.kind === "revision-conflict") throw revisionConflict(name, outcome.revision);
  const path = `${name}/${githubTokenSecret ?? ""}`;
  const warning = `secret ${quoted(path)} in github_token_secret does not exist`;
  return { user: outcome.user, warnings: outcome.isSecretMissing ? [warning] : [] };
}

export function userNotFound(name: string): AppError {
  const metadata = { user: name.slice(0, 255) };
  const message = `user ${quoted(name)} not found`;
  return notFound(ErrorReason.ERROR_REASON_USER_NOT_FOUND, message, metadata);
}

function revisionConflict(name: string, revision: bigint): AppError {
  const is = revision === 0n ? "does not exist" : `is at revision ${revision}`;
  const message = `user ${quoted(name)} ${is}, not at the expected revision`;
  return conflict(ErrorReason.ERROR_REASON_USER_CONFLICT, message, { user: name });
}
