import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReloadTarget } from "../../gen/murmur/rotation/v1/agents";
import { readAgentSettings } from "./agent-settings";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-settings-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const settingsOf = (text: string, slug = "fix-auth") => {
  writeFileSync(join(directory, "murmur.yaml"), text);
  return readAgentSettings(slug, directory);
};

const { RELOAD_TARGET_PROCESS: PROCESS, RELOAD_TARGET_GROUP: GROUP } = ReloadTarget;

test("what the file says of all agents holds, and what it says of one comes first", async () => {
  const text = `
workspace: backend
reload: { signal: SIGHUP, to: group, timeout: 10s }
live: { python: off, node: off }
git: { "Git.example.com:8443": { username: bot, password_secret: GIT_TOKEN } }
agents:
  fix-auth:
    reload: { hook: "systemctl --user reload x", timeout: 5s }
    live: { node: on, exec: false }
    docker: { docker.io: { password_secret: HUB } }
  other: { reload: { hook: [./reload.sh, arg] } }
`;
  const hup = { how: { $case: "signal", value: "SIGHUP" }, target: GROUP, timeoutMs: 10_000 };
  const git = [{ host: "git.example.com:8443", username: "bot", passwordSecret: "GIT_TOKEN" }];
  expect(await settingsOf(text)).toEqual({
    reload: {
      how: { $case: "hook", value: { argv: ["/bin/sh", "-c", "systemctl --user reload x"] } },
      ...{ target: PROCESS, timeoutMs: 5_000 },
    },
    ...{ childReload: hup, layersOff: ["exec", "python"], git },
    docker: [{ host: "docker.io", username: "", passwordSecret: "HUB" }],
  });
  expect((await settingsOf(text, "other"))?.reload).toEqual({
    how: { $case: "hook", value: { argv: ["./reload.sh", "arg"] } },
    ...{ target: PROCESS, timeoutMs: 0 },
  });
  expect(await settingsOf(text, "third")).toMatchObject({
    reload: hup,
    layersOff: ["node", "python"],
  });
});

test("a file that says nothing of agents, or none, gives no settings", async () => {
  expect(await settingsOf("workspace: backend\n")).toBeUndefined();
  expect(await settingsOf("workspace: backend\nmore: { a: 1 }\n")).toBeUndefined();
  expect(await settingsOf("agents:\n  other: { live: { node: off } }\n")).toBeUndefined();
  rmSync(join(directory, "murmur.yaml"));
  expect(await readAgentSettings("fix-auth", directory)).toBeUndefined();
});

test.each([
  ["reload: [SIGHUP]", "reload must hold keys and values"],
  ["reload: { signal: SIGHUP, hook: x }", "reload must have a signal or a hook"],
  ["reload: { to: group }", "reload must have a signal or a hook"],
  ["reload: { signal: SIGHUP, to: all }", "reload.to must be process or group"],
  ["reload: { hook: [] }", "reload.hook must be a command"],
  ["reload: { hook: x, timeout: 5 }", "reload.timeout must be a text"],
  ["reload: { hook: x, timeout: 5x }", "reload.timeout must be a duration"],
  ["reload: { hook: x, tiemout: 5s }", "reload.tiemout is unknown"],
  ["live: { java: off }", "live must name layers"],
  ["live: { node: maybe }", "live.node must be on or off"],
  ["git: { github.com: {} }", "git.github.com.password_secret must be a text"],
  ["live: off", "live must hold keys and values"],
  ["workspace: backend\nlive: no\n", "live must hold keys and values"],
  ["reload: SIGHUP", "reload must hold keys and values"],
  ["git: github.com", "git must hold keys and values"],
  ["docker: docker.io", "docker must hold keys and values"],
  ["agents: fix-auth", "agents must hold keys and values"],
  ["agents: { fix-auth: 1 }", "agents.fix-auth must hold keys and values"],
  ["reload: {", "is not YAML"],
])("%s is refused by file and key", async (text, message) => {
  await expect(settingsOf(text)).rejects.toThrow(message);
  await expect(settingsOf(text)).rejects.toThrow(join(directory, "murmur.yaml"));
});
