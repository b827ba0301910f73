import { LAYERS, type LayerName } from "./receipts";

/** Where the layers stand for agents, and which of them work there. */
export interface InstalledLayers {
  /** MURMUR_LIVE_DIR: absolute, outlives every agent. */
  directory: string;
  works: readonly LayerName[];
}

type Names = Readonly<Record<string, string | undefined>>;

/**
 * What a program's environment needs on top of `own`, so that the program and its children follow
 * the agent's set. What `own` has in the names that lead programs to us stays in force beside ours.
 */
export function liveNames(
  own: Names,
  { directory, works }: InstalledLayers,
  off: readonly string[] = [],
): Record<string, string> {
  const on = LAYERS.filter((layer) => works.includes(layer) && !off.includes(layer));
  if (on.length === 0) return {};
  return Object.assign(
    { MURMUR_LIVE_DIR: directory, MURMUR_LIVE: on.join() },
    ...on.map((layer) => LEADS[layer](directory, own)),
  ) as Record<string, string>;
}

const LEADS: Record<LayerName, (directory: string, own: Names) => Record<string, string>> = {
  exec: (directory, { LD_PRELOAD: own }) => ({
    LD_PRELOAD: joined([`${directory}/exec/murmur-exec.so`, own], ":"),
  }),
  // An interactive bash reads no BASH_ENV: the prompt loads the builtin.
  // A first bash whose input is a socket, as every child of a Node program has it, takes itself for
  // one of rshd's and reads no BASH_ENV; one of a deeper level does.
  bash: (directory, { BASH_ENV: own, SHLVL: level, PROMPT_COMMAND: prompt }) => ({
    SHLVL: level ?? "1",
    BASH_ENV: `${directory}/bash/stub.bash`,
    ...(own && own !== `${directory}/bash/stub.bash` ? { MURMUR_BASH_ENV: own } : {}),
    ...(directory.includes("'")
      ? {}
      : { PROMPT_COMMAND: joined([`. '${directory}/bash/hook.bash'`, prompt], "; ") }),
  }),
  // Quoted, since Node splits at spaces; it takes a backslash for an escape within quotes.
  node: (directory, { NODE_OPTIONS: own }) => {
    const path = `${directory}/node/preload.cjs`.replace(/["\\]/g, "\\$&");
    return { NODE_OPTIONS: joined([`--require "${path}"`, own], " ") };
  },
  python: (directory, { PYTHONPATH: own }) => ({
    PYTHONPATH: joined([`${directory}/python.zip`, own], ":"),
  }),
};

/** Ours first, and once only. */
function joined([ours, own]: [string, string | undefined], separator: string): string {
  if (own === undefined || own === "" || own.includes(ours)) return own || ours;
  return ours + separator + own;
}
