import { FakeClock } from "../../test/fakes/fake-clock";
import { sensitive } from "../sensitive";
import { keySetOf } from "./key-set";
import { generateSigningKey, toPublicKey } from "./signing-key";
import { createVouching, createVouchReader, VOUCH_METADATA_KEY, type VouchedCall } from "./vouch";

const KEY = generateSigningKey("murmur-gateway");
const ROTATION = generateSigningKey("murmur-rotation");
const STRANGER = generateSigningKey("murmur-gateway");
const RPC = "/murmur.rotation.v1.CredentialService/RotateCredential";
const CALL: VouchedCall = {
  ...{ audience: "rotation", rpc: RPC, client: "[2001:db8::1]" },
  bearer: sensitive("mur_key_1"),
  route: { method: "POST", path: "/v1/keys/1/rotate" },
};

const clock = new FakeClock();
const reader = (service = "rotation") =>
  createVouchReader({ keySet: keySetOf([KEY, ROTATION].map(toPublicKey)), service, clock });

/** What a service reads of a call with this vouch. */
async function read(
  vouch: string,
  { method = RPC, authorization = "Bearer mur_key_1" as string | null, service = "rotation" },
) {
  const metadata = new Map([[VOUCH_METADATA_KEY, vouch]]);
  if (authorization !== null) metadata.set("authorization", authorization);
  return reader(service)({ method, get: (key) => metadata.get(key) });
}

async function vouchFor(call: VouchedCall, key = KEY): Promise<string> {
  return (await createVouching(key, clock)(call))[VOUCH_METADATA_KEY] ?? "";
}

describe("a vouch", () => {
  it("tells the client's address and what it asked for", async () => {
    expect(await read(await vouchFor(CALL), {})).toEqual({
      client: "[2001:db8::1]",
      route: { method: "POST", path: "/v1/keys/1/rotate" },
    });
  });

  it("counts for its own RPC, service and credential only", async () => {
    const vouch = await vouchFor(CALL);
    expect(await read(vouch, { method: `${RPC}s` })).toBeUndefined();
    expect(await read(vouch, { service: "catalog" })).toBeUndefined();
    expect(await read(vouch, { authorization: "Bearer mur_key_2" })).toBeUndefined();
    expect(await read(vouch, { authorization: null })).toBeUndefined();
    const { bearer: _, ...rest } = CALL;
    const anonymous = await vouchFor({ ...rest, bearer: undefined });
    expect(await read(anonymous, {})).toBeUndefined();
    expect(await read(anonymous, { authorization: null })).toBeDefined();
  });

  it("counts for a minute", async () => {
    const vouch = await vouchFor(CALL);
    await clock.advance(59_000);
    expect(await read(vouch, {})).toBeDefined();
    await clock.advance(60_000);
    expect(await read(vouch, {})).toBeUndefined();
  });

  it("counts from nobody but the gateway, and not from a key that says it is its", async () => {
    for (const key of [ROTATION, STRANGER])
      expect(await read(await vouchFor(CALL, key), {})).toBeUndefined();
    expect(await read("not a token", {})).toBeUndefined();
  });

  it("is made once for calls that are alike, and anew for those that are not", async () => {
    const vouching = createVouching(KEY, clock);
    const first = await vouching(CALL);
    expect(await vouching({ ...CALL })).toEqual(first);
    expect(await vouching({ ...CALL, client: "203.0.113.7" })).not.toEqual(first);
    await clock.advance(21_000);
    expect(await vouching(CALL)).not.toEqual(first);
  });
});
