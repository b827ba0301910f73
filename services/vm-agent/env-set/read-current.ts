import { type EnvFilesContext, useAgent } from "./agent-directory";
import { errnoOf, toEnvSetError } from "./env-set-error";
import { type LiveFile, tryDecodeLiveFile } from "../live-env/live-file";
import { withoutValues } from "../live-env/delivered";
import { DATA_LINK, generationOf, LIVE_FILE, RECEIPTS_BYTES, RECEIPTS_FILE } from "./layout";
import { parseEnvJson, type ParsedEnvJson } from "./parse";
import { type PinnedDirectory } from "./pinned-directory";

/** The set in force, read whole from one generation. */
export interface CurrentSet extends ParsedEnvJson {
  /** The generation's own directory, absolute: what is opened below it is of one generation. */
  directory: string;
}

/** More than any file of a set has. */
export const MAX_FORM_BYTES = 16 * 1024 * 1024;
const ATTEMPTS = 3;

/**
 * Reads the set in force, resolving `..data` once. Undefined when there is none. Throws
 * EnvSetError `damaged` when `env.json` does not read as written, `unsafe_directory`, or `io`.
 */
export function readCurrent(context: EnvFilesContext, agentId: string): CurrentSet | undefined {
  try {
    return useAgent(context, agentId, (agent) =>
      useCurrent(agent, ({ name, directory }) => ({
        ...parseEnvJson(directory.readFile("env.json", MAX_FORM_BYTES).content),
        directory: `${context.agentsDirectory}/${agentId}/${name}`,
      })),
    );
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}

/**
 * Opens the generation in force for the time of `use`; undefined when there is none. Resolves again
 * when it was pruned meanwhile, three swaps after it was resolved.
 */
export function useCurrent<T>(
  agent: PinnedDirectory,
  use: (generation: { name: string; directory: PinnedDirectory }) => T,
  attempts = ATTEMPTS,
): T | undefined {
  const name = agent.readLink(DATA_LINK);
  if (name === undefined || generationOf(name) === undefined) return undefined;
  try {
    return agent.useChild(name, (directory) => use({ name, directory }));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || attempts <= 1) throw error;
    return useCurrent(agent, use, attempts - 1);
  }
}

/**
 * What was ever delivered to an agent, from the newest generation on disk that can be read;
 * undefined when there is none. It holds no value.
 */
export function readHistory(context: EnvFilesContext, agentId: string): LiveFile | undefined {
  try {
    return useAgent(context, agentId, (directory) => {
      const newestFirst = directory
        .list()
        .flatMap((name) => ({ name, generation: generationOf(name) ?? -1n }))
        .filter(({ generation }) => generation >= 0n)
        .sort((a, b) => (a.generation > b.generation ? -1 : 1));
      for (const { name } of newestFirst) {
        const live = readLive(directory, name);
        if (live) return live;
      }
      return undefined;
    });
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}

function readLive(directory: PinnedDirectory, name: string): LiveFile | undefined {
  if (directory.kindOf(name) !== "directory") return undefined;
  const content = directory.useChild(
    name,
    (generation) => generation.tryReadFile(LIVE_FILE, MAX_FORM_BYTES)?.content,
  );
  if (!content) return undefined;
  const live = tryDecodeLiveFile(content);
  // The key is a view, too.
  const history = live && { ...withoutValues(live), key: Uint8Array.from(live.key) };
  content.fill(0);
  return history;
}

/** The receipts of an agent's processes; undefined for none. Never throws: they are a hint. */
export function readReceipts(context: EnvFilesContext, agentId: string): Buffer | undefined {
  try {
    return useAgent(
      context,
      agentId,
      (directory) => directory.tryReadFile(RECEIPTS_FILE, RECEIPTS_BYTES)?.content,
    );
  } catch {
    return undefined;
  }
}
