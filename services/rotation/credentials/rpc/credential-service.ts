import type { CredentialServiceService } from "../../../../gen/murmur/rotation/v1/credentials";
import { invalid } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import { garbledPageToken, readPage, toPage } from "../../../../lib/page";
import type { Db } from "../../../../lib/postgres/db";
import { readTimestamp } from "../../../../lib/timestamp";
import { sensitive } from "../../../../lib/sensitive";
import { isUuid } from "../../agents/domain/spawn-request";
import { principalOf } from "../../agents/rpc/agent-service";
import { callerOf } from "../../audit";
import { assertVisible, developerOf, visibleOwner } from "../domain/authority";
import { readGrace } from "../domain/grace";
import type { EvidenceCase } from "../evidence/domain/evidence-case";
import type { Evidence } from "../evidence/evidence";
import { createCredential, type IssueDeps, rotateCredential } from "../issue-credential";
import { revokeCredential } from "../revoke-credential";
import { verifyCredentials, type VerifyDeps } from "../verify-credentials";
import type { ChangeFeed } from "../verification/change-feed";
import { encodeVerdict, encodeVerdicts } from "./encode-verdict";
import { readAfter, toChanges } from "./changes";
import { readCreateRequest } from "./read-create-request";
import { readKind, toCredential } from "./to-credential";
import { tenantOfVerifier } from "./verifier-tenant";

const PAGE = "credentials";
const SEQUENCE = /^\d{1,18}$/;

/** The handlers of CredentialService. */
export function createCredentialService(
  deps: IssueDeps & VerifyDeps & { feed: ChangeFeed; evidence: Pick<Evidence, "rotate" | "find"> },
): HandlersOf<typeof CredentialServiceService> {
  const { credentials, evidence, feed } = deps;
  const db: Db = deps.pool;
  const verify = (context: CallContext, values: readonly string[]) =>
    verifyCredentials(deps, tenantOfVerifier(principalOf(context)), values.map(sensitive));
  return {
    async createCredential(request, context) {
      const by = callOf(context);
      const { credential, value } = await createCredential(deps, by, readCreateRequest(request));
      return { credential: toCredential(credential), value: value.expose() };
    },
    async listCredentials(request, context) {
      const { developer } = callOf(context);
      const page = readPage(PAGE, request);
      if (page.after !== undefined && !SEQUENCE.test(page.after)) throw garbledPageToken();
      const rows = await credentials.list(db, {
        ...{ tenantId: developer.tenantId, owner: visibleOwner(developer), page },
        ...{ kind: readKind(request.kind), includeEnded: request.includeEnded },
      });
      const { items, nextPageToken } = toPage(PAGE, rows, page, (it) => String(it.sequence));
      return { credentials: items.map((it) => toCredential(it)), nextPageToken };
    },
    async getCredential({ credentialId }, context) {
      const { developer } = callOf(context);
      const id = readId(credentialId);
      const ref = { tenantId: developer.tenantId, id };
      const found = assertVisible(developer, await credentials.find(db, ref), id);
      return { credential: toCredential(found, await evidence.find(db, ref)) };
    },
    async rotateCredential(request, context) {
      const wish = {
        id: readId(request.credentialId),
        graceSeconds: readGrace(request.graceSeconds),
        requestId: sensitive(request.requestId),
      };
      const { secretName } = request;
      if (!request.revokeWhenApplied && secretName !== undefined)
        throw invalid("secret_name", "secret_name goes with revoke_when_applied");
      const rotated: Awaited<ReturnType<typeof rotateCredential>> & { evidence?: EvidenceCase } =
        request.revokeWhenApplied
          ? await evidence.rotate(callOf(context), { ...wish, secretName })
          : await rotateCredential(deps, callOf(context), wish);
      return {
        ...{ credential: toCredential(rotated.credential), value: rotated.value.expose() },
        replaced: toCredential(rotated.replaced, rotated.evidence),
      };
    },
    async revokeCredential({ credentialId, at }, context) {
      const request = { id: readId(credentialId), at: readTimestamp("at", at) };
      return { credential: toCredential(await revokeCredential(deps, callOf(context), request)) };
    },
    async verifyCredential({ value }, context) {
      const [verdict] = await verify(context, [value]);
      if (!verdict) throw new Error("a value got no verdict");
      return encodeVerdict(verdict);
    },
    async verifyCredentials({ values }, context) {
      return encodeVerdicts(await verify(context, values));
    },
    async awaitCredentialChanges({ after }, context) {
      const within = tenantOfVerifier(principalOf(context));
      return toChanges(await feed.next(readAfter(after), within, context.signal));
    },
  };
}

/** Not shown again: people paste the value of a key that has leaked. */
function readId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw invalid(
    "credential_id",
    "credential_id must be an id, as lists show it, and never a value",
  );
}

function callOf(context: CallContext) {
  return { developer: developerOf(principalOf(context)), caller: callerOf(context) };
}
