import { type CommandSyntax } from "../command";
import { JSON_OUTPUT, VM_NAME } from "./options";

/** Machines. */
export const VM_COMMANDS: readonly CommandSyntax[] = [
  {
    path: ["vm", "join-token"],
    args: [VM_NAME],
    options: [JSON_OUTPUT],
    summary: "Issue a token with which one machine may join as this VM, once, within 10 minutes",
    examples: ["murmur vm join-token build-1 > join-token"],
    load: () => import("../commands/vm-join-token.js"),
  },
  {
    path: ["vm", "ls"],
    args: [],
    options: [JSON_OUTPUT],
    summary: "List VMs: last seen, agents, and how many generations those lag behind",
    examples: ["murmur vm ls"],
    load: () => import("../commands/vm-ls.js"),
  },
  {
    path: ["vm", "rm"],
    args: [VM_NAME],
    options: [],
    summary: "End a VM's rights at once",
    examples: ["murmur vm rm build-1"],
    load: () => import("../commands/vm-rm.js"),
  },
];
