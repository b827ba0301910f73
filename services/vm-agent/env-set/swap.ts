import { type EnvFilesContext, ownershipFor, useOrMakeAgent, usePrepared } from "./agent-directory";
import { errnoOf, toEnvSetError } from "./env-set-error";
import {
  admit,
  discard,
  type Job,
  turn,
  tryWritePage,
  writeGeneration,
} from "./generation-directory";
import { DATA_LINK, generationDirectory, temporaryName, VISIBLE_NAMES } from "./layout";
import { createPage, readPage } from "./page";
import { type PinnedDirectory } from "./pinned-directory";
import { canTakeReceipts, createReceipts } from "./receipts-file";
import { type RenderedSet } from "./render";
import { type Owner } from "./sync-fs";

/** What a swap did. */
export interface SwapResult {
  /** The new generation's own directory, absolute. */
  directory: string;
  /** False when the set is in force but the page is not written: `verify` will call it damaged. */
  isPageWritten: boolean;
}

/** What directories, links, inodes and files' last blocks cost besides the bytes. */
export const OVERHEAD_BYTES = 128 * 1024;

/**
 * Puts a generation in force by one rename of a link over `..data` (the kubelet's AtomicWriter
 * recipe). Readers see the whole old set or the whole new one, also when the process dies between
 * any two system calls. When it throws EnvSetError the old set is whole and in force, and what was
 * written of the new one is removed. Repeating it with the same set repairs what was damaged.
 */
export function swap(context: EnvFilesContext, rendered: RenderedSet, owner: Owner): SwapResult {
  const { agentId, generation, visible } = rendered;
  const suffix = context.suffix();
  const name = generationDirectory(generation, suffix);
  const job: Job = { rendered, ownership: ownershipFor(context, owner), name, suffix };
  try {
    const isPageWritten =
      context.prepared.get(agentId) === visible.join()
        ? swapPrepared(context, job)
        : swapUnprepared(context, job);
    // Without its page the agent's directory is looked at again by the next swap.
    if (isPageWritten) context.prepared.set(agentId, visible.join());
    else context.prepared.delete(agentId);
    return { directory: `${context.agentsDirectory}/${agentId}/${name}`, isPageWritten };
  } catch (error) {
    const wasPrepared = context.prepared.delete(agentId);
    if (wasPrepared && errnoOf(error) === "ENOENT") return swap(context, rendered, owner);
    throw toEnvSetError(error, `agent ${agentId}, generation ${generation.toString()}`);
  }
}

function swapPrepared(context: EnvFilesContext, job: Job): boolean {
  return usePrepared(context, job.rendered.agentId, (directory) => {
    context.space.require(directory, job.rendered.bytes + OVERHEAD_BYTES);
    writeOrDiscard(directory, job);
    return tryWritePage(directory, job.rendered.generation);
  });
}

function swapUnprepared(context: EnvFilesContext, job: Job): boolean {
  const { rendered, ownership } = job;
  const target = { agentId: rendered.agentId, owner: ownership.directory };
  return useOrMakeAgent(context, target, (directory) => {
    context.space.require(directory, rendered.bytes + OVERHEAD_BYTES);
    const names = directory.list();
    writeOrDiscard(directory, job, () => {
      prepareNames(directory, job, names);
    });
    discard(directory, staleNames(rendered, names));
    return tryWritePage(directory, rendered.generation);
  });
}

/** Everything up to and including the rename; on failure nothing of it stays. */
function writeOrDiscard(directory: PinnedDirectory, job: Job, beforeTurn?: () => void): void {
  try {
    writeGeneration(directory, job, (generation) => {
      admit(generation, job);
    });
    beforeTurn?.();
    turn(directory, job, { name: DATA_LINK, target: job.name });
  } catch (error) {
    discard(directory, [temporaryName(job.suffix), job.name]);
    throw error;
  }
}

/** The page, the receipts and the links. Before the rename, so that a first set appears everywhere at once. */
function prepareNames(directory: PinnedDirectory, job: Job, names: readonly string[]): void {
  if (readPage(directory) === undefined) createPage(directory, job.suffix, job.ownership.directory);
  if (!canTakeReceipts(directory, job.ownership))
    createReceipts(directory, job.suffix, job.ownership);
  for (const name of job.rendered.visible) {
    const target = `${DATA_LINK}/${name}`;
    if (!names.includes(name)) directory.makeLink(name, target);
    else if (directory.readLink(name) !== target) turn(directory, job, { name, target });
  }
}

/** Names that the new generation has not: what they lead to is gone with the rename. */
function staleNames({ visible }: RenderedSet, names: readonly string[]): string[] {
  return VISIBLE_NAMES.filter((name) => names.includes(name) && !visible.includes(name));
}
