import { randomUUID } from "node:crypto";
import { SecretServiceService } from "../../../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, invalid, isAppError, permissionDenied } from "../../../../lib/errors";
import {
  createCredentialValue,
  type CredentialValue,
} from "../../../../lib/identity/credential-value";
import { type DeveloperPrincipal, hasRole } from "../../../../lib/identity/principal";
import { isInScope } from "../../../../lib/identity/scope";
import type { Tx } from "../../../../lib/postgres/db";
import { withTransactionRetry } from "../../../../lib/postgres/transaction";
import { isRetryable } from "../../../../lib/retry";
import { writeAudit } from "../../audit";
import type { CatalogClient } from "../../catalog/catalog-client";
import type { Credential } from "../domain/credential";
import {
  type By,
  entry,
  type IssueDeps,
  type Issued,
  issueOnce,
  lockRotatable,
  type Made,
  requestOf,
  type RotateRequest,
} from "../issue-credential";
import { requestDigest } from "../sealed-answer";
import type { EvidenceCase } from "./domain/evidence-case";
import { leadCase, type LeadCaseDeps } from "./lead-case";

export interface RotateCarriedDeps extends LeadCaseDeps, IssueDeps {
  pool: LeadCaseDeps["pool"];
  credentials: IssueDeps["credentials"];
  catalog: LeadCaseDeps["catalog"] & Pick<CatalogClient, "stageCredential">;
}

export interface RotateCarriedRequest extends RotateRequest {
  /** Undefined: the one that is known to carry it. */
  secretName: string | undefined;
}

/** Longer than storing and the first look take; then any replica leads the case on. */
const HOLD_MS = 15_000;

/** A successor whose value the catalog keeps, and which nobody knows of yet. */
interface Staged {
  id: string;
  secretName: string;
  value: CredentialValue;
}

/**
 * Makes the successor of a credential that a tenant secret carries: its value becomes the secret's next
 * version, all who hold that get it, and the old one ends on evidence, after the grace period at the
 * latest. The value is kept by the catalog before anything is written here, so that nothing that ends
 * meanwhile loses it; what is not done when this resolves is done by a loop. The old one's time begins
 * when the secret has the new value, and not at all when it cannot have it.
 */
export async function rotateCarried(
  deps: RotateCarriedDeps,
  by: By,
  request: RotateCarriedRequest,
): Promise<Issued & { replaced: Credential; evidence: EvidenceCase }> {
  const { id, graceSeconds, requestId } = request;
  if (graceSeconds === 0)
    throw invalid(
      "grace_seconds",
      "grace_seconds must not be 0 with revoke_when_applied: it is the time after which the old one ends in any case",
    );
  if (!hasRole(by.developer.role, "admin"))
    throw permissionDenied("revoke_when_applied sets a tenant secret: that needs the role admin");
  const staged = (await wasAsked(deps, by, request)) ? undefined : await stage(deps, by, request);
  const what = ["rotate", id, graceSeconds, "when-applied", request.secretName ?? ""];
  const made = await issueOnce(deps, by, { requestId, what }, (tx) =>
    open(deps, by, { tx, request, staged }),
  ).catch(async (error: unknown) => {
    // Where it is not known whether it was written, what is kept may be needed.
    if (staged && isAppError(error) && !isRetryable(error)) await discard(deps, by, staged);
    throw error;
  });
  if (staged && made.credential.id !== staged.id) await discard(deps, by, staged);
  return carryOn(deps, by, made);
}

/** Whether there is an answer to this request already. */
async function wasAsked(
  { answers, pool }: RotateCarriedDeps,
  by: By,
  { requestId }: RotateCarriedRequest,
): Promise<boolean> {
  const request = requestOf(by, requestId);
  const earlier = await answers.find(pool, request.tenantId, requestDigest(request));
  return earlier !== undefined;
}

async function stage(
  deps: RotateCarriedDeps,
  by: By,
  { id, secretName }: RotateCarriedRequest,
): Promise<Staged> {
  const { tenantId, id: developer, apiKey } = by.developer;
  const old = await withTransactionRetry(deps.pool, (tx) => lockRotatable(deps, tx, by, id));
  const name = secretName ?? old.secretName;
  if (name === undefined || name === "")
    throw invalid(
      "secret_name",
      "secret_name is required: it is not known which secret carries the credential",
    );
  assertMaySet(by.developer, name);
  const replacesHash = await deps.credentials.findHash(deps.pool, { tenantId, id });
  const staged = { id: randomUUID(), secretName: name, value: createCredentialValue(old.kind) };
  await deps.catalog.stageCredential(tenantId, {
    ...{ id: staged.id, secretName: name, value: staged.value.text, replacesHash, developer },
    apiKeyId: apiKey?.id,
  });
  return staged;
}

/** A key with scopes sets no secret by way of this that it could not set itself. */
function assertMaySet({ apiKey }: DeveloperPrincipal, name: string): void {
  const scopes = apiKey?.scopes ?? [];
  const byRpc = isInScope(scopes, { kind: "rpc", path: SecretServiceService.setSecret.path });
  const path = `/v1/secrets/${name}`;
  if (byRpc || isInScope(scopes, { kind: "rest", method: "PUT", path })) return;
  throw permissionDenied("the API key may not set the secret");
}

async function open(
  deps: RotateCarriedDeps,
  by: By,
  { tx, request, staged }: { tx: Tx; request: RotateCarriedRequest; staged: Staged | undefined },
): Promise<Made> {
  // The answer that was there a moment ago is over.
  if (!staged) throw invalid("request_id", "request_id was used more than 10 minutes ago");
  const { id, graceSeconds } = request;
  const { credentials, cases } = deps;
  const old = await lockRotatable(deps, tx, by, id);
  const { text: value, hash, prefix } = staged.value;
  const ids = { id: staged.id, replaces: id, secretName: staged.secretName };
  const credential = await credentials.insert(tx, { ...old, ...ids, hash, prefix });
  if (!credential) throw new Error("a successor that ends before it begins");
  const { tenantId } = old;
  const replaced = await credentials.succeed(tx, { tenantId, id }, staged.id);
  const wish = { tenantId, successorId: staged.id, credentialId: id, graceSeconds };
  const { secretName } = staged;
  await cases.open(tx, { ...wish, secretName, begunBy: by.developer.id }, HOLD_MS);
  const detail = { replaced_by: staged.id, grace_seconds: graceSeconds, secret: secretName };
  await writeAudit(tx, by.caller, [
    entry("credential.rotate", old, { ...detail, revoke_when_applied: true }),
  ]);
  return { credential, value, replaced };
}

async function discard(deps: RotateCarriedDeps, { developer }: By, { id }: Staged): Promise<void> {
  await deps.catalog.discardStagedCredential(developer.tenantId, id).catch((error: unknown) => {
    // The catalog forgets it by itself, some days later.
    deps.log.debug("a staged credential could not be discarded", { error });
  });
}

async function carryOn(
  deps: RotateCarriedDeps,
  { developer: { tenantId } }: By,
  { credential, value, replaced }: Made,
): Promise<Issued & { replaced: Credential; evidence: EvidenceCase }> {
  const { pool, cases, credentials, log } = deps;
  const ref = { tenantId, successorId: credential.id };
  const held = await cases.find(pool, ref);
  if (!held || !replaced) throw new Error("a rotation that began is not there");
  if (held.stage === "storing") {
    try {
      await leadCase(deps, held);
    } catch (error) {
      log.warn("a rotation goes on later", { tenantId, credentialId: replaced.id, error });
    }
    await cases.letGo(pool, ref, 0);
  }
  const evidence = await cases.find(pool, ref);
  if (evidence?.stage === "cancelled")
    throw failedPrecondition(
      ErrorReason.ERROR_REASON_ROTATION_NOT_OPEN,
      `the rotation was cancelled, and the old one stays: ${evidence.problem}`,
      { credential_id: replaced.id },
    );
  const now = await credentials.find(pool, { tenantId, id: replaced.id });
  return { credential, value, replaced: now ?? replaced, evidence: evidence ?? held };
}
