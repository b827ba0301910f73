import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { CredentialFault, CredentialState } from "../../../gen/murmur/rotation/v1/credentials";
import { isAppError } from "../../../lib/errors";
import { retry } from "../../../lib/retry";
import {
  type CredentialIssuer,
  type Shown,
  startCredentialIssuer,
  toShown,
} from "../../../test/harness/credentials";

const { CREDENTIAL_STATE_ACTIVE: ACTIVE, CREDENTIAL_STATE_IN_GRACE: IN_GRACE } = CredentialState;
const { CREDENTIAL_STATE_EXPIRED: EXPIRED, CREDENTIAL_STATE_REVOKED: REVOKED } = CredentialState;
/** More than a call takes, less than any grace period. */
const MARGIN = 60;

describe("rotating a credential", () => {
  let issuer: CredentialIssuer;
  let alice: ReturnType<CredentialIssuer["developer"]>;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    alice = issuer.developer("github/alice");
  });
  afterAll(() => issuer.stop());

  const rotate = ({ credential }: Shown, graceSeconds?: number, requestId = "") =>
    alice.rotateCredential({
      ...{ credentialId: credential.credentialId, requestId },
      ...(graceSeconds !== undefined && { graceSeconds }),
    });
  const verify = async ({ value }: Pick<Shown, "value">) => {
    const { valid, fault, credential } = await issuer.verifier().verifyCredential({ value });
    return { valid, fault, state: credential?.state };
  };
  const valid = (state: CredentialState) => ({
    ...{ valid: true, fault: CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED, state },
  });
  const ended = (state: CredentialState) => ({
    valid: false,
    fault:
      state === EXPIRED
        ? CredentialFault.CREDENTIAL_FAULT_EXPIRED
        : CredentialFault.CREDENTIAL_FAULT_REVOKED,
    state,
  });

  it.each([900, 3600, 21_600, 86_400, 259_200, 604_800])(
    "with %d s of grace leaves both valid until it is over, then the new one alone",
    async (grace) => {
      const old = await issuer.create(alice);
      const successor = toShown(await rotate(old, grace));
      expect([await verify(old), await verify(successor)]).toEqual([
        valid(IN_GRACE),
        valid(ACTIVE),
      ]);
      await issuer.pass(grace - MARGIN);
      expect(await verify(old)).toEqual(valid(IN_GRACE));
      await issuer.pass(MARGIN);
      expect([await verify(old), await verify(successor)]).toEqual([ended(EXPIRED), valid(ACTIVE)]);
    },
  );

  it("without grace ends the old one at once", async () => {
    const old = await issuer.create(alice);
    const { replaced, ...answer } = await rotate(old, 0);
    expect(await verify(old)).toEqual(ended(REVOKED));
    expect(await verify(toShown(answer))).toEqual(valid(ACTIVE));
    expect(replaced).toMatchObject({ state: REVOKED, replacedBy: answer.credential?.credentialId });
  });

  it("needs a grace period to be named", async () => {
    const old = await issuer.create(alice);
    await expect(rotate(old)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field: "grace_seconds" }],
    });
    expect(await verify(old)).toEqual(valid(ACTIVE));
  });

  it("gives the successor label, scopes and absolute expiry, and a value of its own", async () => {
    const expiresAt = new Date(Date.now() + 86_400_000);
    const old = await issuer.create(alice, { label: "it's", scopes: ["GET /v1/*"], expiresAt });
    const successor = toShown(await rotate(old, 900));
    expect(successor.credential).toMatchObject({
      ...{ label: "it's", scopes: ["GET /v1/*"], expiresAt, owner: "github/alice" },
      replaces: old.credential.credentialId,
    });
    expect(successor.value).not.toBe(old.value);
  });

  it("never lengthens a life: an earlier expiry of the old one stands", async () => {
    const expiresAt = new Date(Date.now() + 600_000);
    const old = await issuer.create(alice, { expiresAt });
    const { replaced } = await rotate(old, 604_800);
    expect(replaced?.expiresAt).toEqual(expiresAt);
    await issuer.pass(600);
    expect(await verify(old)).toEqual(ended(EXPIRED));
  });

  it("is refused for one that is replaced, and names its successor", async () => {
    const old = await issuer.create(alice);
    const { credential } = toShown(await rotate(old, 3600));
    await expect(rotate(old, 3600)).rejects.toMatchObject({
      ...{ code: "FAILED_PRECONDITION", reason: ErrorReason.ERROR_REASON_CREDENTIAL_ENDED },
      message: `API key "${old.credential.credentialId}" was already replaced by "${credential.credentialId}"`,
      metadata: {
        ...{ state: "in_grace", replaced_by: credential.credentialId },
        replaced_by_developer: "github/alice",
      },
    });
  });

  it("is refused for one that is revoked or expired", async () => {
    const [revoked, expired] = [
      await issuer.create(alice),
      await issuer.create(alice, { expiresAt: new Date(Date.now() + 600_000) }),
    ];
    await alice.revokeCredential({ credentialId: revoked.credential.credentialId, at: undefined });
    await issuer.pass(600);
    for (const [shown, state] of [
      [revoked, "revoked"],
      [expired, "expired"],
    ] as const)
      await expect(rotate(shown, 0)).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        message: `API key "${shown.credential.credentialId}" is ${state}`,
      });
  });

  it("by a hundred at once makes one successor, and tells the others which", async () => {
    const old = await issuer.create(alice);
    // On a slow machine some wait too long for a connection, and ask again as callers do.
    const patiently = () => {
      const requestId = randomUUID();
      const shouldRetry = (error: unknown) => isAppError(error, "UNAVAILABLE");
      return retry(() => rotate(old, 900, requestId), { deadlineMs: 20_000, shouldRetry });
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, patiently));
    const made = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
    expect(made).toHaveLength(1);
    const winner = made[0]?.credential?.credentialId;
    const told = outcomes.flatMap((it): unknown[] => {
      if (it.status === "fulfilled") return [];
      const reason: unknown = it.reason;
      return [isAppError(reason) ? reason.metadata["replaced_by"] : reason];
    });
    expect(told).toEqual(Array<unknown>(99).fill(winner));
  });

  describe("with a request id", () => {
    it("returns the same value again for 10 minutes", async () => {
      const old = await issuer.create(alice);
      const requestId = randomUUID();
      const first = toShown(await rotate(old, 3600, requestId));
      await issuer.pass(540);
      const again = toShown(await rotate(old, 3600, requestId));
      expect([again.value, again.credential.credentialId]).toEqual([
        ...[first.value, first.credential.credentialId],
      ]);
      await issuer.pass(60);
      await expect(rotate(old, 3600, requestId)).rejects.toMatchObject({
        reason: ErrorReason.ERROR_REASON_CREDENTIAL_ENDED,
      });
    });

    it("returns one value to all who send it at once", async () => {
      const old = await issuer.create(alice);
      const requestId = randomUUID();
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => rotate(old, 900, requestId)),
      );
      expect(new Set(answers.map(({ value }) => value)).size).toBe(1);
    });

    it("refuses another request, or another caller's, under it", async () => {
      const [one, two] = [await issuer.create(alice), await issuer.create(alice)];
      const requestId = randomUUID();
      await rotate(one, 3600, requestId);
      for (const other of [rotate(two, 3600, requestId), rotate(one, 900, requestId)])
        await expect(other).rejects.toMatchObject({
          ...{ code: "INVALID_ARGUMENT", reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED },
        });
      const bob = issuer.developer("github/bob", "admin");
      const { credentialId } = one.credential;
      await expect(
        bob.rotateCredential({ credentialId, graceSeconds: 3600, requestId }),
      ).rejects.toMatchObject({ reason: ErrorReason.ERROR_REASON_CREDENTIAL_ENDED });
    });

    it.each(["short", "x".repeat(21), "x".repeat(129), `${"x".repeat(30)} x`])(
      "refuses %j, which cannot hold 128 random bits",
      async (requestId) => {
        const old = await issuer.create(alice);
        await expect(rotate(old, 900, requestId)).rejects.toMatchObject({
          code: "INVALID_ARGUMENT",
          violations: [{ field: "request_id" }],
        });
        expect(await verify(old)).toEqual(valid(ACTIVE));
      },
    );
  });
});
