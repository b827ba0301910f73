import { COMMAND_GROUPS } from "../syntax";
import { complete } from "./complete";

const COMMANDS = COMMAND_GROUPS.flatMap(({ commands }) => commands);
const EXISTING: Record<string, string[]> = {
  agent: ["fix-auth", "fix-auth/tests", "web"],
  secret: ["NPM_TOKEN", "X;rm -rf /", "$(id)"],
  workspace: ["backend"],
  "user-secret": ["github/alice/GH_TOKEN"],
};

/** The last word is the one under the cursor. */
const at = (line: string) =>
  complete(COMMANDS, line.split(" "), (kind) => Promise.resolve(EXISTING[kind] ?? []));

describe("completion", () => {
  it("offers commands, then what belongs to them", async () => {
    expect(await at("re")).toEqual(["rekey"]);
    expect(await at("secret ")).toEqual([
      "destroy",
      "history",
      "import",
      "ls",
      "revoke",
      "rm",
      "set",
    ]);
    expect(await at("vm j")).toEqual(["join-token"]);
    expect(await at("completion ")).toEqual(["bash", "fish", "zsh"]);
    expect(await at("nonsense ")).toEqual([]);
  });

  it("offers what exists where an argument stands", async () => {
    expect(await at("rekey ")).toEqual(["fix-auth", "fix-auth/tests", "web"]);
    expect(await at("rekey --workspace backend fix-auth/")).toEqual(["fix-auth/tests"]);
    expect(await at("rekey fix-auth ")).toEqual([]);
    expect(await at("get ")).toEqual(["secret", "user", "user-secret", "workspace"]);
    expect(await at("get workspace ")).toEqual(["backend"]);
    expect(await at("rm user-secret git")).toEqual(["github/alice/GH_TOKEN"]);
  });

  it("offers options after a dash and their values after them", async () => {
    expect(await at("rekey --t")).toEqual(["--then-wait", "--timeout"]);
    expect(await at("ls -")).toEqual([
      ...["--all", "--help", "--json", "--quiet", "--workspace", "-a", "-q"],
    ]);
    expect(await at("rekey --workspace ")).toEqual(["backend"]);
  });

  it("offers nothing of an agent's command", async () => {
    expect(await at("spawn web -- ")).toEqual([]);
  });

  it("leaves out names that a shell could take for more than a word", async () => {
    expect(await at("secret rm ")).toEqual(["NPM_TOKEN"]);
  });
});
