import { type Secret, SecretDelivery } from "../gen/murmur/catalog/v1/secrets";
import { allPages } from "./all-pages";
import { type CommandContext, type Invocation } from "./command";
import { relativeTime } from "./output/relative-time";
import { table } from "./output/table";

/** Prints the names, one a line; with `-l` a table, with `--json` all that is kept. */
export async function listSecrets(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const { secrets } = await context.catalog();
  const all = await allPages(secrets.listSecrets, (page) => page.secrets);
  if (call.flag("json")) output.json(all.map(secretToJson));
  else if (call.flag("long")) output.lines(secretTable(all, clock.now(), output.style.bold));
  else output.lines(all.map(({ name }) => name));
}

/** A secret as JSON shows it, named as in the protocol. */
export function secretToJson(secret: Secret) {
  return {
    name: secret.name,
    version: secret.version,
    created_at: secret.createdAt,
    updated_at: secret.updatedAt,
    updated_by: secret.updatedBy,
    description: secret.description,
    delivery: secret.delivery === SecretDelivery.SECRET_DELIVERY_FILE ? "file" : "environment",
  };
}

export function secretTable(
  secrets: readonly Secret[],
  now: Date,
  paintTitle: (text: string) => string,
): string[] {
  return table(
    secrets,
    [
      { title: "NAME", text: ({ name }) => name },
      { title: "VERSION", text: ({ version }) => String(version) },
      { title: "UPDATED", text: ({ updatedAt }) => relativeTime(updatedAt, now) },
      { title: "BY", text: ({ updatedBy }) => updatedBy },
      { title: "DELIVERY", text: (secret) => secretToJson(secret).delivery },
      { title: "DESCRIPTION", text: ({ description }) => description ?? "" },
    ],
    paintTitle,
  );
}
