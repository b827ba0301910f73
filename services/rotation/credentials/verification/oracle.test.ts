import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { CredentialKind } from "../../../../gen/murmur/rotation/v1/credentials";
import { systemClock } from "../../../../lib/clock";
import { isAppError } from "../../../../lib/errors";
import { serviceCredentials } from "../../../../lib/identity/credentials";
import { LEASE_MS, leaseOver } from "../../../../lib/lease";
import { sensitive } from "../../../../lib/sensitive";
import {
  ask,
  at,
  judge,
  type Known,
  NEVER,
  type Span,
} from "../../../../test/fakes/credential-oracle";
import { type CredentialIssuer, startCredentialIssuer } from "../../../../test/harness/credentials";
import { createTestDatabase, type TestDatabase } from "../../../../test/harness/postgres";
import { startRotation, type RotationClients } from "../../../../test/harness/rotation";
import { stepClockOf, type SteppedClock } from "../../../../test/harness/stepped-clock";
import { startTcpProxy, type TcpProxy } from "../../../../test/harness/tcp-proxy";
import { seededRandom } from "../../../../test/simulation/random";

/** All of it: MURMUR_ORACLE_QUESTIONS=1000000 npx jest services/rotation/credentials/verification/oracle.test.ts */
const QUESTIONS = Number(process.env["MURMUR_ORACLE_QUESTIONS"] ?? "30000");
const SEED = Number(process.env["MURMUR_SEED"] ?? String(Date.now() % 1_000_000));
const ASKED_AT_ONCE = 300;
const LIVING = 150;
/** So many end at once, and are asked about just before and just after. */
const ENDING_TOGETHER = 12;
const GRACES_S = [900, 3600, 21_600, 86_400, 259_200, 604_800];
const STEPS_MS = [-3_600_000, -900_000, -1_000, -300, 300, 1_000, 900_000, 3_600_000];
const MAX_STEP_MS = 3_600_000;

let database: TestDatabase;
let clock: SteppedClock;
let issuer: CredentialIssuer;
let proxy: TcpProxy;
let stopOther: () => Promise<void>;
let replicas: RotationClients["credentials"][];

beforeAll(async () => {
  database = await createTestDatabase("rotation");
  clock = await stepClockOf(database);
  issuer = await startCredentialIssuer({ beside: { database } });
  const url = new URL(database.url.expose());
  proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.port = String(proxy.port);
  url.hostname = "127.0.0.1";
  const { catalog, rotation } = issuer;
  const databaseUrl = sensitive(url.href);
  const other = await startRotation({ catalog, beside: rotation, databaseUrl });
  stopOther = () => other.stop();
  const who = { service: "verifier", audience: "rotation", tenantId: "t1" };
  const service = serviceCredentials({ key: catalog.rotationKey, ...who });
  replicas = [rotation, other].map((it) => it.clients(service).credentials);
});
afterAll(async () => {
  proxy.heal();
  await stopOther();
  await proxy.close();
  await issuer.stop();
  await database.drop();
});

/** Nothing when a replica is cut off, or the machine too busy to answer in time or to keep a connection. */
async function unlessAway<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isAppError(error, "UNAVAILABLE") || isAppError(error, "DEADLINE_EXCEEDED"))
      return undefined;
    throw error;
  }
}

/**
 * The oracle keeps a list of when each credential ends and shares nothing with what it judges but the
 * contract.
 */
it(`agrees with an oracle, over two replicas of which one is cut off at times (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const fraction = () => random.below(1e9) / 1e9;
  const alice = issuer.developer("github/alice");
  const known: Known[] = [];
  const counts = {
    ...{ asked: 0, valid: 0, ended: 0, unanswered: 0, changes: 0, clockSteps: 0 },
    ...{ lessThan1msBeforeEnd: 0, lessThan1msAfterEnd: 0, acrossEnd: 0 },
  };
  const differences: unknown[] = [];

  const isLiving = (it: Known) => !it.ended && it.end.fromMs > clock.now() + 5_000;
  const pickLiving = () => random.pick(known.filter(isLiving));
  const create = async (end: Span) => {
    const label = `credential ${known.length}`;
    const token = { kind: CredentialKind.CREDENTIAL_KIND_AGENT_TOKEN, agentName: "scout" };
    const created = await unlessAway(
      issuer.create(alice, {
        ...(random.chance(0.3) && token),
        ...{ label, expiresAt: end === NEVER ? undefined : new Date(end.fromMs) },
      }),
    );
    if (!created) return;
    known.push({ id: created.credential.credentialId, value: created.value, label, end });
  };
  const createLiving = () =>
    create(random.chance(0.5) ? NEVER : at(clock.now() + 30_000 + random.below(7_200_000)));
  /**
   * While the call is on its way, it may be over, and for ever if nobody was told what came of it; returns
   * when it was made.
   */
  const during = async <T>(it: Known, call: () => Promise<T>): Promise<[T, Span] | undefined> => {
    const fromMs = clock.now();
    it.ended = { fromMs, toMs: Infinity };
    const result = await unlessAway(call());
    return result && [result, { fromMs, toMs: clock.now() }];
  };
  const rotate = async (it: Known, graceSeconds: number) => {
    const end = it.end;
    const rotated = await during(it, () =>
      alice.rotateCredential({ credentialId: it.id, graceSeconds, requestId: "" }),
    );
    if (!rotated) return;
    const [{ credential, value, replaced }, made] = rotated;
    known.push({ id: credential?.credentialId ?? "", value, label: it.label, end });
    it.ended = made;
    if (graceSeconds === 0) return;
    delete it.ended;
    it.isReplaced = true;
    const toldMs = replaced?.expiresAt?.getTime() ?? Number.NaN;
    // Times are told to the millisecond.
    const [earliestMs, latestMs] = [made.fromMs - 1, made.toMs].map(
      (ms) => ms + graceSeconds * 1000,
    );
    if (end.toMs <= made.fromMs + graceSeconds * 1000) expect(toldMs).toBe(end.fromMs);
    else if (end.fromMs > made.toMs + graceSeconds * 1000) {
      expect(toldMs).toBeGreaterThanOrEqual(earliestMs ?? NaN);
      expect(toldMs).toBeLessThanOrEqual(latestMs ?? NaN);
    }
    it.hadEnd = { end, untilMs: made.toMs + LEASE_MS };
    it.end = { fromMs: toldMs, toMs: toldMs + 1 };
  };
  const revoke = async (it: Known, when: Date | undefined) => {
    const revoked = await during(it, () =>
      alice.revokeCredential({ credentialId: it.id, at: when }),
    );
    if (!revoked) return;
    const [{ credential }, made] = revoked;
    // A time that was past by then: it has ended, for good.
    if (credential?.revokedAt) {
      it.ended = made;
      return;
    }
    delete it.ended;
    if (when) it.end = at(when.getTime());
  };
  const change = async () => {
    const it = pickLiving();
    if (!it) return;
    counts.changes += 1;
    const kind = it.isReplaced ? random.below(50) : random.below(100);
    if (kind < 30) await revoke(it, undefined);
    else if (kind < 50) {
      const whenMs = clock.now() + 5_000 + random.below(60_000);
      // Never later than by itself: that is refused.
      await revoke(it, new Date(Math.min(whenMs, it.end.fromMs)));
    } else if (kind < 65) await rotate(it, 0);
    else await rotate(it, random.pick(GRACES_S) ?? 900);
  };
  const question = async (replica: number, about: readonly Known[]) => {
    if (about.length === 0) return;
    const fromMs = clock.now();
    const asked = about.map((it) => ask(it, fromMs));
    const values = about.map(({ value }) => value);
    const answers = (await unlessAway(replicas[replica]!.verifyCredentials({ values })))?.answers;
    const toMs = clock.now();
    counts.unanswered += answers ? 0 : 1;
    for (const [n, answer] of (answers ?? []).entries()) {
      const it = asked[n];
      if (!it) throw new Error("more answers than questions");
      const wrong = judge(it, answer, { fromMs, toMs });
      if (wrong !== undefined) {
        const expected = { ...it.it, value: "" };
        differences.push({ wrong, replica, fromMs, toMs, answer, expected, asked: it.end });
      }
      counts.asked += 1;
      counts[answer.valid ? "valid" : "ended"] += 1;
      const { fromMs: endMs, toMs: endedMs } = it.it.end;
      if (endMs - toMs === 1) counts.lessThan1msBeforeEnd += 1;
      if (fromMs === endedMs) counts.lessThan1msAfterEnd += 1;
      if (fromMs < endMs && endMs <= toMs) counts.acrossEnd += 1;
    }
  };
  const anybody = (count: number) =>
    Array.from(
      { length: count },
      () => known[Math.floor(fraction() ** 0.3 * known.length)],
    ).flatMap((it) => it ?? []);
  const background = (replica: number) =>
    delay(random.below(200)).then(() => question(replica, anybody(ASKED_AT_ONCE)));
  /** Several at a time, to the millisecond; what became past meanwhile cannot be made any more. */
  const endTogether = async (endMs: number) => {
    const ending = known.length;
    const picked = known.filter(isLiving).slice(-ENDING_TOGETHER / 2);
    await Promise.all([
      ...picked.map((it, n) => revoke(it, new Date(endMs - 1 + (n % 3)))),
      ...picked.map((_, n) => create(at(endMs - 1 + (n % 3))).catch(expectPast)),
    ]);
    return [...picked, ...known.slice(ending)];
  };
  const expectPast = (error: unknown) => {
    expect(error).toMatchObject({ message: "expires_at must be in the future" });
  };
  /** A few at a time, one question after the other, so that each is as near to the end as can be. */
  const askAround = async (endMs: number, ending: readonly Known[]) => {
    await delay(Math.max(0, endMs - clock.now() - 8));
    while (clock.now() < endMs - 5) await setImmediate();
    for (let n = 0; clock.now() < endMs + 5; n++)
      await question(
        n % 2,
        [0, 1, 2, 3, 4, 5].flatMap(() => random.pick(ending) ?? []),
      );
    await Promise.all([0, 1].map((replica) => question(replica, [...ending, ...anybody(8)])));
  };
  /** Every second time to shortly before something ends, if it is not too far. */
  const step = async () => {
    const it = random.chance(0.5) ? random.pick(known.filter(isLiving)) : undefined;
    const toItsEndMs = (it?.end.fromMs ?? Infinity) - clock.now() - 400;
    const ms = toItsEndMs < MAX_STEP_MS ? toItsEndMs : (random.pick(STEPS_MS) ?? 0);
    await clock.step(ms);
    counts.clockSteps += 1;
    await leaseOver(systemClock);
    return it && toItsEndMs < MAX_STEP_MS ? it : undefined;
  };

  for (let round = 0; counts.asked < QUESTIONS; round++) {
    if (round % 16 === 8) proxy.cut();
    if (round % 16 === 12) proxy.heal();
    const missing = LIVING - known.filter(isLiving).length;
    await Promise.all(Array.from({ length: missing }, createLiving));
    const steppedTo = round % 3 === 2 ? await step() : undefined;
    const endMs = steppedTo?.end.fromMs ?? clock.now() + 400;
    const [ending] = await Promise.all([
      endTogether(endMs),
      change(),
      ...[0, 1, 0, 1, 0, 1].map(background),
    ]);
    await askAround(endMs, steppedTo ? [...ending, steppedTo] : ending);
    expect(differences.slice(0, 3)).toEqual([]);
  }
  expect(counts.valid).toBeGreaterThan(QUESTIONS / 10);
  expect(counts.ended).toBeGreaterThan(QUESTIONS / 10);
  expect(counts.unanswered).toBeGreaterThan(0);
  if (process.env["MURMUR_ORACLE_QUESTIONS"]) process.stdout.write(`${JSON.stringify(counts)}\n`);
}, 3_600_000);
