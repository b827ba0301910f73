import { type EnvFilesContext, ownershipFor, usePrepared } from "./agent-directory";
import { toEnvSetError } from "./env-set-error";
import {
  admit,
  discard,
  type GenerationRef,
  tryWritePage,
  writeGeneration,
} from "./generation-directory";
import { DATA_LINK, generationDirectory, temporaryName } from "./layout";
import { type RenderedSet } from "./render";
import { OVERHEAD_BYTES, type SwapResult } from "./swap";
import { type Owner } from "./sync-fs";

/** A generation that is written and not in force; only the daemon can enter it. */
export interface StagedSet extends GenerationRef {
  agentId: string;
  generation: bigint;
  visible: readonly string[];
}

/**
 * Writes a set that may soon be wanted, so that putting it in force is one rename. Undefined when
 * the agent's directory was not seen whole yet: the first swap does that. Throws EnvSetError, and
 * has then left nothing.
 */
export function stage(
  context: EnvFilesContext,
  rendered: RenderedSet,
  owner: Owner,
): StagedSet | undefined {
  const { agentId, generation, visible } = rendered;
  if (context.prepared.get(agentId) !== visible.join()) return undefined;
  const suffix = context.suffix();
  const name = generationDirectory(generation, suffix);
  const ref: GenerationRef = { ownership: ownershipFor(context, owner), name, suffix };
  try {
    usePrepared(context, agentId, (directory) => {
      context.space.require(directory, rendered.bytes + OVERHEAD_BYTES);
      try {
        writeGeneration(directory, { ...ref, rendered });
        directory.makeLink(temporaryName(suffix), name);
      } catch (error) {
        discard(directory, [temporaryName(suffix), name]);
        throw error;
      }
    });
  } catch (error) {
    context.prepared.delete(agentId);
    throw toEnvSetError(error, `agent ${agentId}, generation ${generation.toString()}`);
  }
  context.staged.set(agentId, name);
  return { ...ref, agentId, generation, visible };
}

/**
 * Puts a staged set in force, as `swap` does. Undefined when something is in the way: nothing of it
 * is left then, and `swap` finds out what it is.
 */
export function putInForce(context: EnvFilesContext, staged: StagedSet): SwapResult | undefined {
  const { agentId, generation, name } = staged;
  if (context.prepared.get(agentId) !== staged.visible.join()) {
    unstage(context, staged);
    return undefined;
  }
  try {
    const isPageWritten = usePrepared(context, agentId, (directory) => {
      directory.useChild(name, (written) => {
        admit(written, staged);
      });
      directory.rename(temporaryName(staged.suffix), DATA_LINK);
      return tryWritePage(directory, generation);
    });
    forget(context, staged);
    if (!isPageWritten) context.prepared.delete(agentId);
    return { directory: `${context.agentsDirectory}/${agentId}/${name}`, isPageWritten };
  } catch {
    context.prepared.delete(agentId);
    unstage(context, staged);
    return undefined;
  }
}

/** Removes a staged set that nobody wants. Never fails: what stays goes with the next sweep. */
export function unstage(context: EnvFilesContext, staged: StagedSet): void {
  forget(context, staged);
  try {
    usePrepared(context, staged.agentId, (directory) => {
      discard(directory, [temporaryName(staged.suffix), staged.name]);
    });
  } catch {
    // The agent's directory is gone, and the set with it.
  }
}

function forget({ staged }: EnvFilesContext, { agentId, name }: StagedSet): void {
  if (staged.get(agentId) === name) staged.delete(agentId);
}
