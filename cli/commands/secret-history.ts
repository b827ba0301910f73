import { type SecretVersion } from "../../gen/murmur/catalog/v1/secrets";
import { allPages } from "../all-pages";
import { type Run } from "../command";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";
import { parseUserSecretPath } from "../resources/user-secret";

export const run: Run = async ({ catalog, clock, output }, call) => {
  const name = call.arg("name");
  const { secrets, users } = await catalog();
  const versions = await allPages(
    name.includes("/")
      ? (page) => users.listUserSecretVersions({ ...parseUserSecretPath(name), ...page })
      : (page) => secrets.listSecretVersions({ name, ...page }),
    (page) => page.versions,
  );
  if (call.flag("json")) output.json(versions.map(toJson));
  else output.lines(historyTable(versions, clock.now(), output.style.bold));
};

function historyTable(
  versions: SecretVersion[],
  now: Date,
  paintTitle: (text: string) => string,
): string[] {
  return table(
    versions,
    [
      { title: "VERSION", text: ({ version }) => String(version) },
      { title: "WRITTEN", text: ({ writtenAt }) => relativeTime(writtenAt, now) },
      { title: "BY", text: ({ writtenBy }) => writtenBy },
      { title: "STATE", text: toState },
    ],
    paintTitle,
  );
}

function toState({ deleted, destroyed, current }: SecretVersion): string {
  if (deleted) return "deleted";
  if (destroyed) return "destroyed";
  return current ? "current" : "";
}

function toJson(version: SecretVersion) {
  return {
    version: version.version,
    written_at: version.writtenAt,
    written_by: version.writtenBy,
    deleted: version.deleted,
    destroyed: version.destroyed,
    current: version.current,
  };
}
