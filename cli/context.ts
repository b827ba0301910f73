import { systemClock } from "../lib/clock";
import { unauthenticated } from "../lib/errors";
import { type CommandContext } from "./command";
import { findLocalConfig, type LocalConfig, readLocalConfig } from "./config/local-config";
import { findWorkspace, requireWorkspace } from "./config/workspace";
import { LocalError } from "./errors";
import { isAddress } from "./input/address";
import { type Output } from "./output/output";
import { type Terminal } from "./terminal";
import { traceParent } from "./trace-parent";

/** A command's context, and the end of what was opened through it. */
export interface OwnedContext {
  context: CommandContext;
  close: () => void;
}

/** Reads and connects as late as possible, each at most once. */
export function createContext(terminal: Terminal, output: Output): OwnedContext {
  const opened: { close: () => void }[] = [];
  const keep = <T extends { close: () => void }>(thing: T): T => {
    opened.push(thing);
    return thing;
  };
  const { env, cwd } = terminal;
  const traceparent = traceParent(env);
  let local: Promise<LocalConfig> | undefined;
  const config = async () => (local ??= readLocalConfig(findLocalConfig(env, cwd)));
  return {
    context: {
      terminal,
      output,
      clock: systemClock,
      config,
      requireWorkspace: async (flag) => requireWorkspace(flag, await config(), cwd),
      findWorkspace: async (flag) => findWorkspace(flag, await config(), cwd),
      catalog: async () => {
        const to = { ...addressOf(await config(), "catalog"), traceparent };
        const { connectCatalog } = await import("./connect-catalog.js");
        return keep(connectCatalog(to));
      },
      rotation: async () => {
        const to = { ...addressOf(await config(), "rotation"), traceparent };
        const { connectRotation } = await import("./connect-rotation.js");
        return keep(connectRotation(to));
      },
    },
    close: () => {
      for (const { close } of opened) close();
    },
  };
}

function addressOf(config: LocalConfig, service: "catalog" | "rotation") {
  if (config.path === undefined) throw unauthenticated();
  const address = config[service];
  if (address === undefined)
    throw new LocalError(
      `${config.path} has no ${service} address`,
      `Run murmur auth --${service} HOST:PORT, or write ${service}: HOST:PORT there.`,
    );
  if (!isAddress(address)) throw new LocalError(`${config.path}: ${service} must be HOST:PORT`);
  return { address, token: config.token, caFile: config.caFile };
}
