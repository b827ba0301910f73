import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { type EnvFilesContext, useAgent } from "./agent-directory";
import { isEnvName } from "./env-set";
import { toEnvSetError } from "./env-set-error";
import { parseEnvJson } from "./parse";
import { MAX_FORM_BYTES, useCurrent } from "./read-current";

/** Some values of the set in force, all of one generation; names that it lacks are absent. */
export interface CurrentValues {
  generation: bigint;
  values: ReadonlyMap<string, Sensitive<Buffer>>;
}

/**
 * Reads the values of these names: those of the environment, and the bytes of secrets that are
 * delivered as files under their own names. Undefined when no set stands. Throws EnvSetError, as
 * `readCurrent` does.
 */
export function readValues(
  context: EnvFilesContext,
  agentId: string,
  names: readonly string[],
): CurrentValues | undefined {
  try {
    return useAgent(context, agentId, (directory) =>
      useCurrent(directory, ({ directory: current }) => {
        const form = current.readFile("env.json", MAX_FORM_BYTES).content;
        const { generation, variables } = parseEnvJson(form);
        form.fill(0);
        const values = new Map<string, Sensitive<Buffer>>();
        for (const name of names) {
          // Names become paths below.
          if (!isEnvName(name)) continue;
          const value = variables.get(name);
          if (value) values.set(name, value);
          else if (current.kindOf("files") === "directory") {
            const file = current.useChild("files", (files) =>
              files.tryReadFile(name, MAX_FORM_BYTES),
            );
            if (file) values.set(name, sensitive(file.content));
          }
        }
        return { generation, values };
      }),
    );
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}`);
  }
}
