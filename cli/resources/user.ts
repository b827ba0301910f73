import { type User } from "../../gen/murmur/catalog/v1/users";
import { allPages } from "../all-pages";
import { type CommandContext, type Invocation } from "../command";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";
import { patient } from "../patient";
import { type Resource } from "./resource";

/** Developers' profiles, named `provider/username`. */
export const userResource: Resource = {
  list: listUsers,
  async get(context, name) {
    const { users } = await context.catalog();
    const { user } = await patient(() => users.getUser({ name }));
    return user ? userToJson(user) : {};
  },
  async set(context, name, read) {
    const githubTokenSecret = read.text("github_token_secret") ?? "";
    const expectedRevision = read.count("expected_revision");
    read.refuseOthers(["created_at", "updated_at", "updated_by", "revision"]);
    const { users } = await context.catalog();
    const request = { name, githubTokenSecret, expectedRevision };
    const { warnings } = await patient(() => users.setUser(request));
    for (const warning of warnings) context.output.warn(warning);
  },
  async remove(context, name) {
    const { users } = await context.catalog();
    await users.deleteUser({ name });
  },
};

async function listUsers(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const { users } = await context.catalog();
  const all = await allPages(users.listUsers, (page) => page.users);
  if (call.flag("json")) output.json(all.map(userToJson));
  else if (call.flag("long")) output.lines(userTable(all, clock.now(), output.style.bold));
  else output.lines(all.map(({ name }) => name));
}

/** A profile as JSON and YAML show it; without `github_token_secret` GH_TOKEN is not set. */
function userToJson(user: User) {
  return {
    name: user.name,
    github_token_secret: tokenSecretPath(user),
    created_at: user.createdAt,
    updated_at: user.updatedAt,
    updated_by: user.updatedBy,
    revision: user.revision,
  };
}

function tokenSecretPath({ name, githubTokenSecret }: User): string | undefined {
  return githubTokenSecret === "" ? undefined : `${name}/${githubTokenSecret}`;
}

function userTable(users: User[], now: Date, paintTitle: (text: string) => string): string[] {
  return table(
    users,
    [
      { title: "NAME", text: ({ name }) => name },
      { title: "GH_TOKEN", text: (user) => tokenSecretPath(user) ?? "(not set)" },
      { title: "UPDATED", text: ({ updatedAt }) => relativeTime(updatedAt, now) },
      { title: "BY", text: ({ updatedBy }) => updatedBy },
    ],
    paintTitle,
  );
}
