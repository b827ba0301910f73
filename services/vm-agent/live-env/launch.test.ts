import { CONFIG_VARIABLES } from "../../../lib/config-variables";
import { liveNames } from "./launch";

const LAYERS = {
  directory: "/run/m/live-env/x",
  works: ["exec", "bash", "node", "python"],
} as const;

describe("what leads programs to the layers", () => {
  it("is set for every layer that works", () => {
    expect(liveNames({}, LAYERS)).toEqual({
      MURMUR_LIVE_DIR: "/run/m/live-env/x",
      MURMUR_LIVE: "exec,bash,node,python",
      LD_PRELOAD: "/run/m/live-env/x/exec/murmur-exec.so",
      SHLVL: "1",
      BASH_ENV: "/run/m/live-env/x/bash/stub.bash",
      PROMPT_COMMAND: ". '/run/m/live-env/x/bash/hook.bash'",
      NODE_OPTIONS: '--require "/run/m/live-env/x/node/preload.cjs"',
      PYTHONPATH: "/run/m/live-env/x/python.zip",
    });
  });

  it("is known to services, which refuse names that they do not know and may run in an agent", () => {
    const names = Object.keys(liveNames({ BASH_ENV: "/etc/bash.env" }, LAYERS));
    const ours = names.filter((name) => name.startsWith("MURMUR_"));
    expect(ours).toHaveLength(3);
    expect(CONFIG_VARIABLES).toEqual(expect.arrayContaining(ours));
  });

  it("leaves what a program had in those names in force", () => {
    const own = {
      LD_PRELOAD: "/usr/lib/libjemalloc.so",
      BASH_ENV: "/etc/bash.env",
      SHLVL: "3",
      PROMPT_COMMAND: "history -a",
      NODE_OPTIONS: "--max-old-space-size=100",
      PYTHONPATH: "/opt/lib",
    };
    const names = liveNames(own, LAYERS);
    expect(names).toMatchObject({
      LD_PRELOAD: "/run/m/live-env/x/exec/murmur-exec.so:/usr/lib/libjemalloc.so",
      SHLVL: "3",
      MURMUR_BASH_ENV: "/etc/bash.env",
      PROMPT_COMMAND: ". '/run/m/live-env/x/bash/hook.bash'; history -a",
      NODE_OPTIONS: '--require "/run/m/live-env/x/node/preload.cjs" --max-old-space-size=100',
      PYTHONPATH: "/run/m/live-env/x/python.zip:/opt/lib",
    });
    expect(liveNames({ ...own, ...names }, LAYERS)).toMatchObject({
      LD_PRELOAD: names["LD_PRELOAD"],
      PROMPT_COMMAND: names["PROMPT_COMMAND"],
      NODE_OPTIONS: names["NODE_OPTIONS"],
      PYTHONPATH: names["PYTHONPATH"],
    });
  });

  it("leaves out what is switched off or does not work, and says nothing when nothing is on", () => {
    const layers = { directory: "/x", works: ["bash", "node"] } as const;
    expect(Object.keys(liveNames({}, layers, ["node"]))).toEqual([
      "MURMUR_LIVE_DIR",
      "MURMUR_LIVE",
      "SHLVL",
      "BASH_ENV",
      "PROMPT_COMMAND",
    ]);
    expect(liveNames({}, layers, ["node", "bash"])).toEqual({});
  });

  it("quotes a path for Node, which splits at spaces", () => {
    const layers = { directory: '/a b/"c"\\d', works: ["node"] } as const;
    expect(liveNames({}, layers)["NODE_OPTIONS"]).toBe(
      '--require "/a b/\\"c\\"\\\\d/node/preload.cjs"',
    );
  });
});
