import fs, {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { FakeClock } from "../../test/fakes/fake-clock";
import { createLog } from "../log";
import { sensitive } from "../sensitive";
import { createAuthenticator } from "./authenticate";
import { issueDeveloperToken, issueServiceToken, issueVmToken } from "./claims";
import { serviceCredentials, vmCredentials } from "./credentials";
import { createKeySet, keySetOf } from "./key-set";
import { createProof } from "./proof";
import {
  generateSigningKey,
  parseSigningKey,
  publicJwkOf,
  signingKeyToJwk,
  thumbprint,
  toPublicKey,
} from "./signing-key";

const METHOD = "/murmur.rotation.v1.RolloutService/RekeyAgent";
const rotation = generateSigningKey("murmur-rotation");
const catalog = generateSigningKey("murmur-catalog");
const keySet = keySetOf([toPublicKey(rotation), toPublicKey(catalog)]);
const identity = generateKeyPairSync("ed25519");

const authenticate = async (
  headers: Record<string, string>,
  clock = new FakeClock(),
  method = METHOD,
) =>
  await createAuthenticator({ keySet, service: "catalog", clock })({
    method,
    get: (key) => headers[key],
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const refused = { code: "UNAUTHENTICATED", message: "identity token is missing or expired" };

const developerToken = (clock = new FakeClock(), key = rotation) =>
  issueDeveloperToken(key, {
    tenantId: "acme",
    developer: "github/alice",
    role: "admin",
    ttlSeconds: 60,
    clock,
  });
const vmToken = (clock = new FakeClock(), key = catalog) =>
  issueVmToken(key, {
    tenantId: "acme",
    vmId: "vm-1",
    name: "build-1",
    keyThumbprint: thumbprint(identity.publicKey),
    ttlSeconds: 300,
    clock,
  });

describe("authentication", () => {
  it("knows a developer by a token of the rotation service", async () => {
    await expect(authenticate(bearer(await developerToken()))).resolves.toMatchObject({
      kind: "developer",
      tenantId: "acme",
      id: "github/alice",
      role: "admin",
    });
  });

  it("has no principal without a token, and refuses what is no bearer token", async () => {
    await expect(authenticate({})).resolves.toBeUndefined();
    for (const authorization of ["Basic x", "Bearer", "Bearer x", "Bearer a.b.c", ""]) {
      await expect(authenticate({ authorization })).rejects.toMatchObject(refused);
    }
  });

  it("ends a token at its time, cached or not", async () => {
    const clock = new FakeClock();
    const headers = bearer(await developerToken(clock));
    const check = createAuthenticator({ keySet, service: "catalog", clock });
    const call = async () =>
      await check({ method: METHOD, get: (key) => headers[key as "authorization"] });
    await expect(call()).resolves.toBeDefined();
    await clock.advance(66_000);
    await expect(call()).rejects.toMatchObject(refused);
  });

  it("refuses a kind of token that another issuer signed: rotation cannot introduce a VM", async () => {
    const forged = await vmToken(new FakeClock(), rotation);
    const proof = createProof(identity, METHOD, new FakeClock());
    await expect(authenticate({ ...bearer(forged), "murmur-proof": proof })).rejects.toMatchObject(
      refused,
    );
    await expect(
      authenticate(bearer(await developerToken(new FakeClock(), catalog))),
    ).rejects.toMatchObject(refused);
  });

  it("refuses an unknown key, another algorithm and no algorithm", async () => {
    const stranger = generateSigningKey("murmur-rotation");
    await expect(
      authenticate(bearer(await developerToken(new FakeClock(), stranger))),
    ).rejects.toMatchObject(refused);
    const hs256 = await new SignJWT({ knd: "developer", ten: "acme", rol: "owner", fia: 0 })
      .setProtectedHeader({ alg: "HS256", kid: rotation.kid })
      .setIssuer("murmur-rotation")
      .setAudience("murmur")
      .setSubject("x")
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(Buffer.alloc(32, 1));
    await expect(authenticate(bearer(hs256))).rejects.toMatchObject(refused);
    const [, payload] = hs256.split(".");
    const none = `${Buffer.from(`{"alg":"none","kid":"${rotation.kid}"}`).toString("base64url")}.${payload ?? ""}.`;
    await expect(authenticate(bearer(none))).rejects.toMatchObject(refused);
  });

  it("lets a VM in only with a fresh proof by the key that its token names", async () => {
    const clock = new FakeClock();
    const headers = await vmCredentials(
      identity,
      async () => sensitive(await vmToken(clock)),
      clock,
    )(METHOD);
    const check = createAuthenticator({ keySet, service: "catalog", clock });
    const call = async (given: Record<string, string>, method = METHOD) =>
      await check({ method, get: (key) => given[key] });
    await expect(call(headers)).resolves.toMatchObject({ kind: "vm", id: "vm-1", name: "build-1" });
    await expect(call(headers)).rejects.toMatchObject(refused); // a replay
    const stranger = generateKeyPairSync("ed25519");
    const bad: Record<string, string>[] = [
      bearer(await vmToken(clock)),
      { ...headers, "murmur-proof": createProof(stranger, METHOD, clock) },
      { ...headers, "murmur-proof": createProof(identity, "/other/Method", clock) },
      { ...headers, "murmur-proof": "v1.x.y.z.w" },
      {
        ...headers,
        "murmur-proof": createProof(
          identity,
          METHOD,
          new FakeClock(new Date("2025-12-31T23:58:00Z")),
        ),
      },
    ];
    for (const given of bad) await expect(call(given)).rejects.toMatchObject(refused);
  });

  it("binds a service's token to callee, method and tenant", async () => {
    const clock = new FakeClock(new Date());
    const credentials = serviceCredentials({
      key: rotation,
      service: "rotation",
      audience: "catalog",
      tenantId: "acme",
    });
    const headers = await credentials(METHOD);
    await expect(authenticate(headers, clock)).resolves.toEqual({
      kind: "service",
      tenantId: "acme",
      id: "rotation",
    });
    await expect(authenticate(headers, clock, "/other/Method")).rejects.toMatchObject(refused);
    const elsewhere = await issueServiceToken(rotation, {
      service: "rotation",
      audience: "gateway",
      tenantId: "acme",
      method: METHOD,
      ttlSeconds: 60,
    });
    await expect(authenticate(bearer(elsewhere), clock)).rejects.toMatchObject(refused);
  });

  it("takes no token of a service that was issued for more than a minute", async () => {
    const clock = new FakeClock(new Date());
    const who = { service: "rotation", audience: "catalog", tenantId: "acme", method: METHOD };
    const issue = (ttlSeconds: number) => issueServiceToken(rotation, { ...who, ttlSeconds });
    await authenticate(bearer(await issue(60)), clock);
    await expect(authenticate(bearer(await issue(61)), clock)).rejects.toMatchObject(refused);
  });
});

describe("signing keys", () => {
  it("survive their file form, and print nothing", () => {
    const text = signingKeyToJwk(rotation);
    expect(String(text) + JSON.stringify({ text })).not.toContain("OKP");
    expect(parseSigningKey(text)).toMatchObject({ kid: rotation.kid, issuer: "murmur-rotation" });
    expect(() => parseSigningKey(sensitive(`{"kty":"OKP"}`))).toThrow("one private Ed25519 JWK");
  });
});

describe("the key set file", () => {
  const directory = mkdtempSync(join(tmpdir(), "murmur-keys-"));
  const file = join(directory, "keys.json");
  const write = (...keys: (typeof rotation)[]) => {
    writeFileSync(`${file}.new`, JSON.stringify({ keys: keys.map(publicJwkOf) }));
    renameSync(`${file}.new`, file);
  };
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it("that is replaced under a running service counts a second later", async () => {
    const clock = new FakeClock();
    write(rotation);
    const keys = createKeySet(file, { clock });
    expect(keys.find(rotation.kid)?.issuer).toBe("murmur-rotation");
    write(catalog);
    await clock.advance(1_000);
    expect(keys.find(catalog.kid)?.issuer).toBe("murmur-catalog");
    expect(keys.find(rotation.kid)).toBeUndefined();
  });

  it("lets keys overlap: both count while both stand there, also for tokens that were seen", async () => {
    const clock = new FakeClock(new Date());
    const next = generateSigningKey("murmur-rotation");
    write(rotation, next);
    const authenticator = createAuthenticator({
      ...{ keySet: createKeySet(file, { clock }), service: "catalog", clock },
    });
    const who = { service: "rotation", audience: "catalog", tenantId: "acme", method: METHOD };
    const tokens = await Promise.all(
      [rotation, next].map((key) => issueServiceToken(key, { ...who, ttlSeconds: 60 })),
    );
    const as = async (token: string) =>
      await authenticator({
        method: METHOD,
        get: (name) => (name === "authorization" ? `Bearer ${token}` : undefined),
      });
    for (const token of tokens) await expect(as(token)).resolves.toMatchObject({ id: "rotation" });
    write(next);
    await clock.advance(1_000);
    await expect(as(tokens[0]!)).rejects.toMatchObject(refused);
    await expect(as(tokens[1]!)).resolves.toMatchObject({ id: "rotation" });
  });

  it.each(["first", "second"])("that is replaced during the %s read is read again", async (nth) => {
    const clock = new FakeClock();
    write(rotation);
    const keys = nth === "second" ? createKeySet(file, { clock }) : undefined;
    if (nth === "second") write(rotation);
    await clock.advance(1_000);
    const read = jest.spyOn(fs, "readFileSync").mockImplementationOnce((...args) => {
      read.mockRestore();
      const text = fs.readFileSync(...args);
      write(catalog);
      return text;
    });
    const raced = keys ?? createKeySet(file, { clock });
    expect(raced.find(rotation.kid)).toBeDefined();
    await clock.advance(1_000);
    expect(raced.find(catalog.kid)).toBeDefined();
  });

  it.each([
    ["half written", () => writeFileSync(file, "{")],
    ["gone", () => undefined],
    ["not to be opened", () => symlinkSync("keys.json", file)],
    ["not to be read", () => mkdirSync(file)],
  ])("that is %s keeps the last good set, says so once, and heals by itself", async (_, spoil) => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log = createLog("test", "info", { write: (line) => lines.push(line) });
    write(rotation);
    const keys = createKeySet(file, { clock, log });
    rmSync(file);
    spoil();
    for (let look = 0; look < 5; look++) {
      await clock.advance(1_000);
      expect(keys.find(rotation.kid)?.issuer).toBe("murmur-rotation");
      expect(keys.ofIssuer("murmur-rotation")).toHaveLength(1);
    }
    expect(lines.filter((line) => line.includes("cannot be read"))).toHaveLength(1);
    rmSync(file, { recursive: true, force: true });
    write(rotation, catalog);
    await clock.advance(1_000);
    expect(keys.find(catalog.kid)?.issuer).toBe("murmur-catalog");
  });

  it("refuses a set with anything but named Ed25519 keys", () => {
    writeFileSync(file, JSON.stringify({ keys: [{ kty: "RSA" }] }));
    expect(() => createKeySet(file)).toThrow("every key needs");
  });
});
