import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentWorker, spawnWorker } from "../harness/agent-worker";
import { startTestStack, type TestStack } from "../harness/stack";

/** What the page shows, by language. */
const PAGE = readFileSync(join(__dirname, "../../docs/credential-helpers.md"), "utf8");
const blocks = (language: string) =>
  [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(
    ([, code = ""]) => code,
  );
const [ASK = "", GIT = "", OTHER_GIT = "", DOCKER_LINK = ""] = blocks("bash");
const [SETTINGS = ""] = blocks("yaml");
const [AWS = ""] = blocks("ini");
const [DOCKER = "", CLAUDE = ""] = blocks("json");

let stack: TestStack;
let directory: string;
let worker: AgentWorker;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-helpers-"));
  const work = join(directory, "work");
  mkdirSync(work);
  writeFileSync(join(work, "murmur.yaml"), SETTINGS);
  stack = await startTestStack();
  await setAll("1");
  worker = await spawnWorker(stack, "asking", work);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

async function setAll(which: string): Promise<void> {
  const names = ["API_TOKEN", "GITHUB_TOKEN", "GIT_TOKEN", "DOCKER_TOKEN", "ANTHROPIC_API_KEY"];
  names.push("DEPLOY_AWS_ACCESS_KEY_ID", "DEPLOY_AWS_SECRET_ACCESS_KEY");
  const lines = names.map((name) => `${name}=${name.toLowerCase()}-${which}\n`).join("");
  await stack.murmur.run(["secret", "import", "-"], lines);
}

/** What a script prints inside the agent, where murmur is installed. */
async function says(script: string): Promise<string> {
  const home = join(directory, "home");
  const path = `${join(stack.place.root, "bin")}:${home}/bin`;
  const setup = `mkdir -p '${home}'; export HOME='${home}' PATH="${path}:$PATH"\n`;
  const own = "export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0; unset XDG_CONFIG_HOME\n";
  const { status, output } = await worker.run(`${setup}${own}set -e\n${script}`);
  expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });
  return output;
}

const login = (host: string, username: string, password: string) =>
  `protocol=https\nhost=${host}\nusername=${username}\npassword=${password}\n`;
const docker = (server: string, helper: string) =>
  says(`printf '%s' '${server}' | docker-credential-${helper} get`);

/** Asks in every way that the page shows. */
async function askAll(which: string): Promise<void> {
  expect(await says(ASK)).toBe(`authorization: Bearer api_token-${which}\n`);

  expect(await says(GIT)).toBe(login("github.com", "x-access-token", `github_token-${which}`));
  expect(await says(OTHER_GIT)).toBe(login("git.example.com", "bot", `git_token-${which}`));

  const [, command = ""] = /^credential_process = (.*)$/m.exec(AWS) ?? [];
  const { Expiration, ...credentials } = JSON.parse(await says(command)) as { Expiration: string };
  // As the AWS CLI's guide on credential_process has it.
  expect(credentials).toEqual({
    Version: 1,
    AccessKeyId: `deploy_aws_access_key_id-${which}`,
    SecretAccessKey: `deploy_aws_secret_access_key-${which}`,
  });
  expect(Expiration).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

  await says(DOCKER_LINK);
  const { credHelpers } = JSON.parse(DOCKER) as { credHelpers: Record<string, string> };
  const answers: unknown[] = [];
  for (const [server, helper] of Object.entries(credHelpers))
    answers.push(JSON.parse(await docker(server, helper)));
  // As docker-credential-helpers has it.
  expect(answers).toEqual([
    { ServerURL: "ghcr.io", Username: "x-access-token", Secret: `github_token-${which}` },
    {
      ServerURL: "registry.example.com:5000",
      Username: "acme",
      Secret: `docker_token-${which}`,
    },
  ]);

  const { apiKeyHelper } = JSON.parse(CLAUDE) as { apiKeyHelper: string };
  expect(await says(`/bin/sh -c '${apiKeyHelper}'`)).toBe(`anthropic_api_key-${which}`);
}

test("every helper of the page answers as it says, and after a rekey with the new value", async () => {
  await askAll("1");
  const pid = worker.pid();
  await setAll("2");
  await stack.murmur.run(["rekey", "asking"]);
  await askAll("2");
  expect(worker.pid()).toBe(pid);
}, 360_000);

test("no helper answers outside of an agent", async () => {
  for (const words of [
    ["env", "get", "API_TOKEN"],
    ["credential", "git", "get"],
    ["credential", "aws"],
    ["credential", "docker", "get"],
    ["credential", "api-key"],
  ]) {
    const input = words.includes("docker") ? "ghcr.io" : "protocol=https\nhost=github.com\n\n";
    const { code, stdout, stderr } = await stack.murmur.tryRun(words, input);
    expect(code).toBe(1);
    expect(stdout + stderr).not.toMatch(/-[12]\b/);
  }
}, 360_000);
