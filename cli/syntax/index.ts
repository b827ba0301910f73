import { type CommandSyntax } from "../command";
import { AGENT_COMMANDS } from "./agents";
import { ASKING_COMMANDS } from "./asking";
import { AUDIT_COMMANDS } from "./audit";
import { KEY_COMMANDS } from "./keys";
import { REGISTERED_AGENT_COMMANDS } from "./registered-agents";
import { PEOPLE_COMMANDS } from "./people";
import { ROLLOUT_COMMANDS } from "./rollouts";
import { SECRET_COMMANDS } from "./secrets";
import { SELF_ROTATION_COMMANDS } from "./self-rotation";
import { SETUP_COMMANDS } from "./setup";
import { TENANT_COMMANDS } from "./tenant";
import { VM_COMMANDS } from "./vms";

/** All commands, in the order in which help shows them. */
export const COMMAND_GROUPS: readonly { title: string; commands: readonly CommandSyntax[] }[] = [
  { title: "Secrets and workspaces", commands: SECRET_COMMANDS },
  { title: "Agents", commands: AGENT_COMMANDS },
  { title: "Rekey", commands: ROLLOUT_COMMANDS },
  { title: "Inside an agent", commands: ASKING_COMMANDS },
  { title: "API keys and agent tokens", commands: KEY_COMMANDS },
  {
    title: "Registered agents",
    commands: [...REGISTERED_AGENT_COMMANDS, ...SELF_ROTATION_COMMANDS],
  },
  { title: "People", commands: PEOPLE_COMMANDS },
  { title: "Tenant", commands: TENANT_COMMANDS },
  { title: "Audit", commands: AUDIT_COMMANDS },
  { title: "VMs", commands: VM_COMMANDS },
  { title: "Setup", commands: SETUP_COMMANDS },
];
