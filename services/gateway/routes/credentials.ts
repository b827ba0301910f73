import {
  CredentialKind,
  CredentialServiceService,
} from "../../../gen/murmur/rotation/v1/credentials";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { notFound } from "../../../lib/errors";
import type { RouteKit } from "./rpc-route";
import type { RestRequest, Route } from "./route";

/** What goes by `/v1/keys` and what by `/v1/tokens`. */
const COLLECTIONS = [
  {
    ...{ tag: "keys", path: "/v1/keys", one: "API key", suffix: "Key" },
    kind: CredentialKind.CREDENTIAL_KIND_API_KEY,
    hidden: ["agent_name"],
    required: [],
  },
  {
    ...{ tag: "tokens", path: "/v1/tokens", one: "agent token", suffix: "Token" },
    kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN,
    hidden: ["scopes"],
    required: ["agent_name"],
  },
] as const;

type Collection = (typeof COLLECTIONS)[number];

/** Behaviour, section 7: nothing is preselected. */
const GRACE = {
  type: "integer",
  enum: [0, 900, 3600, 21_600, 86_400, 259_200, 604_800],
  description: "Seconds for which the old value stays valid beside the new one.",
};

/** API keys and agent tokens. A value is in the answer that makes it, and nowhere else. */
export function credentialRoutes(kit: RouteKit): Route[] {
  return COLLECTIONS.flatMap((collection) => routesOf(kit, collection));
}

function routesOf(kit: RouteKit, { tag, path, one, suffix, kind, ...rest }: Collection): Route[] {
  const { rpc } = kit;
  const isKind = (request: RestRequest) => requireKind(kit, request, { kind, one });
  const id = `${path}/{credential_id}`;
  return [
    rpc({
      ...{ method: "POST", path, tag, summary: `Make an ${one}`, operationId: `create${suffix}` },
      description: "The value is in this answer, and nowhere else.",
      rpc: CredentialServiceService.createCredential,
      status: 201,
      hidden: ["kind", ...rest.hidden],
      required: rest.required,
      set: () => ({ kind }),
    }),
    rpc({
      ...{ method: "GET", path, tag, summary: `List ${one}s, newest first` },
      operationId: `list${suffix}s`,
      rpc: CredentialServiceService.listCredentials,
      hidden: ["kind"],
      set: () => ({ kind }),
    }),
    rpc({
      ...{ method: "GET", path: id, tag, summary: `Show an ${one}`, operationId: `get${suffix}` },
      rpc: CredentialServiceService.getCredential,
      before: isKind,
    }),
    rpc({
      ...{ method: "POST", path: `${id}/rotate`, tag, operationId: `rotate${suffix}` },
      summary: `Make the successor of an ${one}, which stays valid for a while`,
      rpc: CredentialServiceService.rotateCredential,
      narrow: { grace_seconds: GRACE },
      required: ["grace_seconds"],
      before: isKind,
    }),
    rpc({
      ...{ method: "POST", path: `${id}/revoke`, tag, operationId: `revoke${suffix}` },
      summary: `End an ${one} now, or earlier than it would end by itself`,
      rpc: CredentialServiceService.revokeCredential,
      before: isKind,
    }),
  ];
}

/** What is not of a collection is not in it: a key for `/v1/tokens*` is not for API keys. */
async function requireKind(
  { backends }: RouteKit,
  { params, on }: RestRequest,
  { kind, one }: Pick<Collection, "kind" | "one">,
): Promise<void> {
  const credentialId = String(params["credential_id"]);
  const request = { credentialId };
  const { credential } = await backends.call(CredentialServiceService.getCredential, request, on);
  if (credential?.kind === kind) return;
  throw notFound(ErrorReason.ERROR_REASON_CREDENTIAL_NOT_FOUND, `no ${one} "${credentialId}"`, {
    credential_id: credentialId,
  });
}
