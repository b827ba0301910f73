import {
  VerifyCredentialResponse,
  VerifyCredentialsResponse,
} from "../../../../gen/murmur/rotation/v1/credentials";
import type { Credential } from "../domain/credential";
import type { Verdict } from "../verify-credentials";
import { encodeVerdict, encodeVerdicts } from "./encode-verdict";
import { toVerdict } from "./to-credential";

const CREDENTIAL: Credential = {
  ...{ tenantId: "t1", id: "5cf3cbf5-9b5c-4b3e-8f4a-2b6f5d7a9c11", kind: "api-key", label: "ci" },
  ...{ agentName: "", scopes: ["GET /v1/secrets*", "POST /v1/keys"], prefix: "mur_key_abcd" },
  ...{ owner: "github/ålice", role: "admin", state: "in_grace", lastUsedAt: undefined },
  ...{ createdAt: new Date(1_700_000_000_123), expiresAt: new Date(1_800_000_000_000) },
  ...{ revokedAt: undefined, replaces: undefined, replacedBy: "next", sequence: 7n },
  ...{ registeredAgentId: undefined, awaitsFirstUse: false, secretName: "KEY" },
};
const VERDICTS: readonly Verdict[] = [
  { credential: CREDENTIAL, validForMs: 1234.5 },
  { credential: CREDENTIAL, validForMs: 7.2 },
  { credential: CREDENTIAL, validForMs: 0.3 },
  { credential: { ...CREDENTIAL, expiresAt: undefined }, validForMs: undefined },
  { credential: CREDENTIAL, validForMs: -5, fault: "expired" },
  { credential: CREDENTIAL, validForMs: undefined, fault: "revoked" },
  { fault: "unknown" },
];

describe("encoded verdicts", () => {
  it.each(VERDICTS)("say what the message says, however often (%#)", (verdict) => {
    for (let times = 0; times < 3; times++)
      expect(VerifyCredentialResponse.decode(encodeVerdict(verdict).bytes)).toEqual(
        toVerdict(verdict),
      );
  });

  it("of many are in their order", () => {
    const all = Array.from({ length: 40 }, () => VERDICTS).flat();
    expect(VerifyCredentialsResponse.decode(encodeVerdicts(all).bytes)).toEqual({
      answers: all.map(toVerdict),
    });
  });
});
