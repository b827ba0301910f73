import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { FakeClock } from "../../test/fakes/fake-clock";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { sensitive } from "../sensitive";
import { createAuthenticator } from "./authenticate";
import { issueVmToken } from "./claims";
import { keySetOf } from "./key-set";
import { createSessionProof, type FindProofKey } from "./session-proof";
import { generateSigningKey, thumbprint, toPublicKey } from "./signing-key";

const METHOD = "/murmur.catalog.v1.DeliveryService/FetchEnvironments";
const catalog = generateSigningKey("murmur-catalog");
const keySet = keySetOf([toPublicKey(catalog)]);
const keyThumbprint = thumbprint(generateKeyPairSync("ed25519").publicKey);
const session = { id: randomUUID(), proofKey: sensitive(randomBytes(32)) };
const find: FindProofKey = (id) => (id === session.id ? { ...session, keyThumbprint } : undefined);
const refused = { code: "UNAUTHENTICATED" };

async function tokenFor(clock: FakeClock, key = keyThumbprint) {
  const vm = { tenantId: "acme", vmId: "vm-1", name: "build-1", ttlSeconds: 300 };
  return issueVmToken(catalog, { ...vm, keyThumbprint: key, clock });
}

function authenticator(clock: FakeClock) {
  const options = { keySet, service: "catalog", clock };
  const authenticate = createAuthenticator({ ...options, findProofKey: find });
  return async (token: string, proof: string, method = METHOD) => {
    const headers: Record<string, string> = {
      ...{ authorization: `Bearer ${token}`, "murmur-proof": proof },
    };
    return await authenticate({ method, get: (key) => headers[key] });
  };
}

describe("a proof by a session", () => {
  it("tells the VM whose identity key signed for the session", async () => {
    const clock = new FakeClock();
    const call = authenticator(clock)(
      await tokenFor(clock),
      createSessionProof(session, METHOD, clock),
    );
    await expect(call).resolves.toMatchObject({ kind: "vm", id: "vm-1", keyThumbprint });
  });

  it("is good for one call of one method", async () => {
    const clock = new FakeClock();
    const authenticate = authenticator(clock);
    const token = await tokenFor(clock);
    const proof = createSessionProof(session, METHOD, clock);
    await expect(authenticate(token, proof, `${METHOD}2`)).rejects.toMatchObject(refused);
    await expect(authenticate(token, proof)).resolves.toBeDefined();
    await expect(authenticate(token, proof)).rejects.toMatchObject(refused);
  });

  it("is nothing beside the token of a VM with another key", async () => {
    const clock = new FakeClock();
    const token = await tokenFor(clock, "another");
    const proof = createSessionProof(session, METHOD, clock);
    await expect(authenticator(clock)(token, proof)).rejects.toMatchObject(refused);
  });

  it("by another key, of another time, or changed at any place is refused", async () => {
    const clock = new FakeClock();
    const authenticate = authenticator(clock);
    const token = await tokenFor(clock);
    const stranger = { id: session.id, proofKey: sensitive(randomBytes(32)) };
    const good = createSessionProof(session, METHOD, clock);
    const early = new FakeClock(new Date(clock.now().getTime() - 61_000));
    const late = new FakeClock(new Date(clock.now().getTime() + 61_000));
    const parts = good.split(".");
    const bad = [
      createSessionProof(stranger, METHOD, clock),
      createSessionProof(session, METHOD, early),
      createSessionProof(session, METHOD, late),
      ...["", "s1.", "s1....", "s1.x.NaN.y.z", good.slice(0, -1), `${good}A`],
      [parts[0], parts[1], parts[2], randomBytes(16).toString("base64url"), parts[4]].join("."),
      [parts[0], parts[1], String(Number(parts[2]) + 1), parts[3], parts[4]].join("."),
    ];
    for (const proof of bad)
      await expect(authenticate(token, proof)).rejects.toMatchObject(refused);
    await expect(authenticate(token, good)).resolves.toBeDefined();
  });

  it("of a session that this replica does not hold asks for a new one", async () => {
    const clock = new FakeClock();
    const elsewhere = { id: randomUUID(), proofKey: session.proofKey };
    const call = authenticator(clock)(
      await tokenFor(clock),
      createSessionProof(elsewhere, METHOD, clock),
    );
    await expect(call).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_DELIVERY_SESSION_UNKNOWN,
    });
  });

  it("is refused by a service that has no sessions", async () => {
    const clock = new FakeClock();
    const options = { keySet, service: "rotation", clock };
    const token = await tokenFor(clock);
    const proof = createSessionProof(session, METHOD, clock);
    const headers: Record<string, string> = {
      ...{ authorization: `Bearer ${token}`, "murmur-proof": proof },
    };
    const call = createAuthenticator(options)({ method: METHOD, get: (key) => headers[key] });
    await expect(call).rejects.toMatchObject(refused);
  });
});
