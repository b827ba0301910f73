import { AgentsOf } from "../../gen/murmur/rotation/v1/bindings";
import { type CommandContext } from "../command";
import { type Lookup } from "./complete";

/** Nobody waits longer than this for a key press. */
const TIMEOUT_MS = 1_500;
const PAGE = { pageSize: 1_000, pageToken: "" };

/** Asks the services for names; finds nothing when they do not answer or refuse. */
export function createLookup(context: CommandContext): Lookup {
  return async (kind) => {
    try {
      return await find(context, kind);
    } catch {
      return []; // A completion must not print errors into the line that is being typed.
    }
  };
}

async function find(context: CommandContext, kind: string): Promise<string[]> {
  const control = { timeoutMs: TIMEOUT_MS };
  switch (kind) {
    case "secret": {
      const { secrets } = await context.catalog();
      return (await secrets.listSecrets(PAGE, control)).secrets.map(({ name }) => name);
    }
    case "user-secret": {
      const { users } = await context.catalog();
      const { secrets } = await users.listUserSecrets({ user: "", ...PAGE }, control);
      return secrets.map(({ user, secret }) => `${user}/${secret?.name ?? ""}`);
    }
    case "user": {
      const { users } = await context.catalog();
      return (await users.listUsers(PAGE, control)).users.map(({ name }) => name);
    }
    case "workspace": {
      const { workspaces } = await context.catalog();
      return (await workspaces.listWorkspaces(PAGE, control)).workspaces.map(({ name }) => name);
    }
    case "vm": {
      const { vms } = await context.catalog();
      const page = await vms.listVms({ ...PAGE, name: undefined }, control);
      return page.vms.map(({ name }) => name);
    }
    case "agent": {
      const { agents } = await context.rotation();
      const workspace = (await context.findWorkspace(undefined)) ?? "";
      const page = await agents.listAgents({ workspace, includeEnded: false, ...PAGE }, control);
      return page.agents.map(({ path }) => path);
    }
    case "registered-agent": {
      const { bindings } = await context.rotation();
      const wish = { agentsOf: AgentsOf.AGENTS_OF_UNSPECIFIED, name: undefined };
      const page = await bindings.listBoundAgents(
        { ...wish, includeDeactivated: false, ...PAGE },
        control,
      );
      return page.agents.map(({ name }) => name).filter(Boolean);
    }
    case "rollout": {
      const { rollouts } = await context.rotation();
      const page = await rollouts.listRollouts({ workspace: "", ...PAGE }, control);
      return page.rollouts.map(({ rolloutId }) => rolloutId);
    }
    default:
      return [];
  }
}
