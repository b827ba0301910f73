import { ErrorReason } from "../gen/murmur/errors/v1/error_reason";
import { type AppError, type ErrorCode } from "../lib/errors";

/** What to do about an error, one sentence or two; undefined when its message says it all. */
export function hintFor(error: AppError): string | undefined {
  return BY_REASON[error.reason] ?? BY_CODE[error.code];
}

const BY_REASON: Partial<Record<ErrorReason, string>> = {
  [ErrorReason.ERROR_REASON_AGENT_NOT_FOUND]:
    "Check the slug spelling. Use murmur ls to see running agents.",
  [ErrorReason.ERROR_REASON_AGENT_ENDED]: "Use murmur ls -a to see agents that are over.",
  [ErrorReason.ERROR_REASON_AGENT_EXISTS]:
    "Choose another slug, or end the living agent with murmur kill.",
  [ErrorReason.ERROR_REASON_SECRET_NOT_FOUND]:
    "Check the spelling. Use murmur secret ls to see the names.",
  [ErrorReason.ERROR_REASON_SECRET_VERSION_NOT_FOUND]:
    "Use murmur secret history to see the versions.",
  [ErrorReason.ERROR_REASON_SECRET_VERSION_IN_USE]:
    "Use murmur holds --secret NAME@VERSION to see who has it. With --force it is destroyed all the same, and its holders get a new generation.",
  [ErrorReason.ERROR_REASON_SECRET_VERSION_CONFLICT]:
    "Somebody else wrote it. Use murmur secret ls -l to see the current version.",
  [ErrorReason.ERROR_REASON_ENVIRONMENT_TOO_LARGE]:
    "Deliver large values as files (murmur secret set --as-file), or name fewer secrets in the workspace.",
  [ErrorReason.ERROR_REASON_VALUE_NOT_ENVIRONMENT]:
    "Deliver it as a file: murmur secret set --as-file.",
  [ErrorReason.ERROR_REASON_WORKSPACE_NOT_FOUND]:
    "Use murmur get workspace to see the workspaces, murmur set workspace to make one.",
  [ErrorReason.ERROR_REASON_WORKSPACE_CONFLICT]:
    "Somebody else wrote it. Use murmur get workspace to see the current revision.",
  [ErrorReason.ERROR_REASON_WORKSPACE_IN_USE]:
    "Use murmur ls to see its agents, murmur kill to end them.",
  [ErrorReason.ERROR_REASON_USER_NOT_FOUND]:
    "Use murmur get user to see the profiles, murmur set user to make one.",
  [ErrorReason.ERROR_REASON_USER_CONFLICT]:
    "Somebody else wrote it. Use murmur get user to see the current revision.",
  [ErrorReason.ERROR_REASON_CREDENTIAL_NOT_FOUND]:
    "Use murmur keys ls or murmur tokens ls to see the ids.",
  [ErrorReason.ERROR_REASON_REGISTERED_AGENT_NOT_FOUND]:
    "Use murmur agents ls to see your agents, murmur agents ls --unclaimed to see nobody's.",
  [ErrorReason.ERROR_REASON_AGENT_HAS_HISTORY]:
    "Use murmur agents claim, with its key, and then murmur agents deactivate.",
  [ErrorReason.ERROR_REASON_SIGN_IN_NOT_CONFIGURED]:
    "Get an identity token from an operator, or use an API key: murmur auth < key.",
  [ErrorReason.ERROR_REASON_NOT_IN_TENANT]:
    "Ask an owner to let you in (murmur people add), or name another tenant with --tenant.",
  [ErrorReason.ERROR_REASON_NAME_CHANGED_HANDS]:
    "If the name is yours now, ask an owner to remove and add it: murmur people rm, then add.",
  [ErrorReason.ERROR_REASON_PERSON_NOT_FOUND]:
    "Use murmur people ls to see who is in the tenant, murmur people add to let somebody in.",
  [ErrorReason.ERROR_REASON_PERSON_EXISTS]: "Use murmur people set-role to change it.",
  [ErrorReason.ERROR_REASON_LAST_OWNER]: "Make somebody else an owner first.",
  [ErrorReason.ERROR_REASON_KEY_ROTATION_REFUSED]:
    "When an operator has rotated the key at Vault: murmur encryption rotate --rewrap-only.",
  [ErrorReason.ERROR_REASON_TENANT_DELETION_NOT_FOUND]:
    "Check the id. A tenant whose deletion is not known was not deleted by it.",
  [ErrorReason.ERROR_REASON_VM_NOT_FOUND]: "Use murmur vm ls to see the VMs.",
  [ErrorReason.ERROR_REASON_VM_AMBIGUOUS]: "Name one with --vm.",
  [ErrorReason.ERROR_REASON_PROCESS_NOT_ADOPTABLE]:
    "Look at the VM's processes with ps -ef. Only those of its agents' user that are no agent's yet can be adopted.",
  [ErrorReason.ERROR_REASON_ROLLOUT_NOT_FOUND]: "Use murmur rollouts to see the rollouts.",
  [ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK]:
    "Only an agent's latest rollout, and those that are still open, can be taken back.",
  [ErrorReason.ERROR_REASON_NOT_SUPPORTED_ON_VM]: "Run murmur rekey from your laptop instead.",
};

const BY_CODE: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: "Run murmur auth or check your murmur.local.yaml configuration.",
  PERMISSION_DENIED: "Your role does not allow this. Ask an admin of your tenant.",
  UNAVAILABLE:
    "Nothing was half done. Try again in a moment, or check the addresses in murmur.local.yaml.",
  DEADLINE_EXCEEDED: "The service took too long. Try again in a moment.",
  INTERNAL: "This is a bug. The service's log has more under the request's id.",
  UNIMPLEMENTED: "The service is older than this murmur, or the address is another service's.",
};
