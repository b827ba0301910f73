import { AgentSettings, type Reload } from "../../../../gen/murmur/rotation/v1/agents";
import type { FieldViolation } from "../../../../lib/errors";
import { isAdoptable } from "./agent-adoption";

const SIGNALS = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "URG", "WINCH", "IO"].map(
  (name) => `SIG${name}`,
);
const LAYERS = ["exec", "bash", "node", "python"];
const MAX_TIMEOUT_MS = 600_000;
const MAX_HOSTS = 100;
const MAX_HOOK_ARGUMENTS = 1024;
const MAX_HOOK_BYTES = 128 * 1024;
const SECRET_NAME = /^[A-Z][A-Z0-9_]{0,255}$/;
/** A host with its port, perhaps `http://` before it: what no line or JSON can be broken with. */
const HOST = /^(?:http:\/\/)?[A-Za-z0-9.\-:[\]]{1,255}$/;
const USERNAME = /^[\x20-\x7e]{0,255}$/;

/** Every wrong field of an agent's settings, by its name in the contract. */
export function settingsFaults(settings: AgentSettings | undefined): FieldViolation[] {
  if (!settings) return [];
  const { git, docker, layersOff } = settings;
  const faults: FieldViolation[] = [];
  const require = (isGood: boolean, field: string, what: string) => {
    if (!isGood) faults.push({ field: `settings.${field}`, description: `${field} must ${what}` });
  };
  require(isReload(settings.reload), "reload", RELOAD);
  require(isReload(settings.childReload), "child_reload", RELOAD);
  const isLayers = layersOff.every((layer) => LAYERS.includes(layer));
  require(isAdoptable(settings), "adopt", ADOPT);
  require(isLayers && layersOff.length <= LAYERS.length, "layers_off", LAYER_WORDS);
  for (const [field, hosts] of Object.entries({ git, docker })) {
    const isGood = hosts.every(
      ({ host, username, passwordSecret }) =>
        HOST.test(host) && USERNAME.test(username) && SECRET_NAME.test(passwordSecret),
    );
    require(isGood && hosts.length <= MAX_HOSTS, field, HOSTS);
  }
  return faults;
}

const RELOAD = `be one of the signals ${SIGNALS.join(", ")}, or a command that names a program, within 10 minutes`;
const ADOPT = "name a pid from 2 to 4194304";
const LAYER_WORDS = `be of ${LAYERS.join(", ")}`;
const HOSTS = `be at most ${MAX_HOSTS} hosts, each with the name of a secret`;

function isReload(reload: Reload | undefined): boolean {
  if (!reload) return true;
  const { how, timeoutMs } = reload;
  if (timeoutMs < 0 || timeoutMs > MAX_TIMEOUT_MS || !how) return false;
  if (how.$case === "signal") return SIGNALS.includes(how.value);
  return isCommand(how.value.argv);
}

/** Whether this can be run: a program and its arguments. */
export function isCommand(argv: readonly string[]): boolean {
  const bytes = argv.reduce((sum, part) => sum + Buffer.byteLength(part) + 1, 0);
  return (
    argv.length <= MAX_HOOK_ARGUMENTS &&
    bytes <= MAX_HOOK_BYTES &&
    argv[0] !== undefined &&
    !/^(?:-|$)/.test(argv[0]) &&
    !argv.some((part) => part.includes("\0"))
  );
}

/** The bytes by which two settings are the same; empty for none. */
export function settingsBytes(settings: AgentSettings | undefined): Buffer {
  return settings ? Buffer.from(AgentSettings.encode(settings).finish()) : Buffer.alloc(0);
}

/** As they are stored. */
export function settingsToJson(settings: AgentSettings | undefined): string | null {
  return settings ? JSON.stringify(AgentSettings.toJSON(settings)) : null;
}

export function settingsFromJson(json: unknown): AgentSettings | undefined {
  return json === null ? undefined : AgentSettings.fromJSON(json);
}
