import { setTimeout as delay } from "node:timers/promises";
import { type Credential, CredentialFault } from "../../../../gen/murmur/rotation/v1/credentials";
import { serviceCredentials } from "../../../../lib/identity/credentials";
import { type CredentialIssuer, startCredentialIssuer } from "../../../../test/harness/credentials";
import { startRotation, type RotationClients } from "../../../../test/harness/rotation";
import { startTcpProxy, type TcpProxy } from "../../../../test/harness/tcp-proxy";
import { seededRandom } from "../../../../test/simulation/random";
import { sensitive } from "../../../../lib/sensitive";

/** All of it: MURMUR_ORACLE_QUESTIONS=1000000 npx jest services/rotation/credentials/verification/oracle.test.ts */
const QUESTIONS = Number(process.env["MURMUR_ORACLE_QUESTIONS"] ?? "30000");
const SEED = Number(process.env["MURMUR_SEED"] ?? String(Date.now() % 1_000_000));
const ASKED_AT_ONCE = 300;
const LIVING = 150;
const STEPS_S = [-3600, -900, -1, 1, 900, 3600];

/** What the oracle knows of a credential, from what callers were told and from nothing else. */
interface Known {
  id: string;
  value: string;
  label: string;
  /** Between when and when it ends by itself, ms since the epoch; Infinity: never. */
  end: Span;
  /** From when to when somebody may have ended it; none: nobody did. */
  ended?: Span;
  /** It has a successor: it is not rotated again. */
  isReplaced?: true;
}

interface Span {
  fromMs: number;
  toMs: number;
}

const at = (ms: number): Span => ({ fromMs: ms, toMs: ms });
const NEVER = at(Infinity);

let issuer: CredentialIssuer;
let proxy: TcpProxy;
let stopOther: () => Promise<void>;
let replicas: RotationClients["credentials"][];

beforeAll(async () => {
  issuer = await startCredentialIssuer();
  const url = new URL(issuer.rotation.database.url.expose());
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
});

/**
 * The oracle keeps a list of when each credential ends and shares nothing with what it judges but the
 * contract. Where a question was on its way while a credential ended, both answers are right.
 */
it(`agrees with an oracle, over two replicas of which one is cut off at times (seed ${SEED})`, async () => {
  const source = seededRandom(SEED);
  const random = () => source.below(1e9) / 1e9;
  const alice = issuer.developer("github/alice");
  const known: Known[] = [];
  const counts = { asked: 0, valid: 0, ended: 0, unanswered: 0, nearDeadline: 0 };
  const differences: unknown[] = [];

  const create = async (n: number) => {
    const end = random() < 0.5 ? NEVER : at(Date.now() + 30_000 + Math.floor(random() * 60_000));
    const label = `key ${n}`;
    const expiresAt = end === NEVER ? undefined : new Date(end.fromMs);
    const { credential, value } = await issuer.create(alice, { label, expiresAt });
    known.push({ id: credential.credentialId, value, label, end });
  };
  /** With some room: it is not over before the change that is made to it. */
  const living = () => known.filter((it) => !it.ended && it.end.fromMs > Date.now() + 5_000);
  /** While the call is on its way, it may be over; returns when it was made. */
  const during = async (it: Known, call: () => Promise<unknown>): Promise<Span> => {
    const fromMs = Date.now();
    it.ended = { fromMs, toMs: Infinity };
    await call();
    return { fromMs, toMs: Date.now() };
  };
  const rotate = async (it: Known, graceSeconds: number) => {
    const request = { credentialId: it.id, graceSeconds, requestId: "" };
    const { credential, value } = await alice.rotateCredential(request);
    known.push({ id: credential?.credentialId ?? "", value, label: it.label, end: it.end });
  };
  const revoke = ({ id }: Known, when: Date | undefined) =>
    alice.revokeCredential({ credentialId: id, at: when });
  const change = async (n: number) => {
    const all = living();
    const it = all[Math.floor(random() * all.length)];
    if (!it || all.length < LIVING) return create(n);
    const kind = it.isReplaced ? random() * 0.3 : random();
    if (kind < 0.3) it.ended = await during(it, () => revoke(it, undefined));
    else if (kind < 0.5) it.ended = await during(it, () => rotate(it, 0));
    else if (kind < 0.6) {
      const made = await during(it, () => rotate(it, 900));
      delete it.ended;
      it.isReplaced = true;
      const grace = { fromMs: made.fromMs + 900_000, toMs: made.toMs + 900_000 };
      if (grace.fromMs < it.end.fromMs) it.end = grace;
    } else {
      // To the millisecond, so that questions come in just before it and just after.
      const endMs = Date.now() + 200 + Math.floor(random() * 300);
      const answers: (Date | undefined)[] = [];
      const made = await during(it, async () => {
        const { credential } = await revoke(it, new Date(endMs));
        answers.push(credential?.revokedAt);
      });
      // Past by the time it was made: it has ended then, for good.
      if (answers[0]) it.ended = made;
      else {
        delete it.ended;
        it.end = at(endMs);
      }
    }
    return undefined;
  };
  const ask = async (replica: number) => {
    const asked = Array.from({ length: ASKED_AT_ONCE }, () => {
      const it = known[Math.floor(random() ** 0.3 * known.length)];
      return it ?? { id: "", value: "mur_key_nothing", label: "", end: at(-Infinity) };
    });
    const fromMs = Date.now();
    const wasEnded = asked.map(({ ended }) => ended !== undefined);
    const endedBefore = asked.map(({ ended }) => ended !== undefined && ended.toMs <= fromMs);
    const endsBefore = asked.map(({ end }) => end);
    const answers = await replicas[replica]
      ?.verifyCredentials({
        values: asked.map(({ value }) => value),
      })
      .then((it) => it.answers)
      .catch((error: unknown) => {
        if (replica === 0 || (error as { code?: string }).code !== "UNAVAILABLE") throw error;
        return undefined;
      });
    if (!answers) {
      counts.unanswered += 1;
      return;
    }
    const toMs = Date.now();
    for (const [n, it] of asked.entries()) {
      const answer = answers[n];
      const before = endsBefore[n] ?? it.end;
      if (!answer) throw new Error("a value got no answer");
      const isOver = endedBefore[n] === true || before.toMs <= fromMs;
      const earliestMs = Math.min(it.end.fromMs, before.fromMs);
      const mayBeOver = isOver || wasEnded[n] || it.ended !== undefined || earliestMs <= toMs;
      counts.asked += 1;
      counts[answer.valid ? "valid" : "ended"] += 1;
      if (Math.abs(it.end.fromMs - toMs) <= 1) counts.nearDeadline += 1;
      const isWrong = answer.valid ? isOver : !mayBeOver;
      const found: Partial<Credential> = answer.credential ?? {};
      const isOther = answer.valid && (found.credentialId !== it.id || found.label !== it.label);
      const { CREDENTIAL_FAULT_UNKNOWN } = CredentialFault;
      const isLost = it.id !== "" && answer.fault === CREDENTIAL_FAULT_UNKNOWN;
      if (isWrong || isOther || isLost)
        differences.push({ replica, answer, fromMs, toMs, expected: { ...it, value: "" } });
    }
  };

  for (let n = 0; n < LIVING; n++) await create(n);
  for (let round = 0; counts.asked < QUESTIONS; round++) {
    if (round % 16 === 8) proxy.cut();
    if (round % 16 === 12) proxy.heal();
    if (round % 12 === 11) {
      const seconds = STEPS_S[Math.floor(random() * STEPS_S.length)] ?? 0;
      await issuer.pass(seconds);
      for (const it of known) {
        const { fromMs, toMs } = it.end;
        it.end = { fromMs: fromMs - seconds * 1000, toMs: toMs - seconds * 1000 };
        if (it.ended) it.ended = { fromMs: -Infinity, toMs: -Infinity };
      }
    }
    await Promise.all([
      change(LIVING + round),
      ask(0),
      ask(1),
      ...[0, 1, 0, 1].map((replica) => delay(random() * 60).then(() => ask(replica))),
    ]);
    expect(differences.slice(0, 3)).toEqual([]);
  }
  expect(counts.valid).toBeGreaterThan(QUESTIONS / 10);
  expect(counts.ended).toBeGreaterThan(QUESTIONS / 500);
  expect(counts.unanswered).toBeGreaterThan(0);
  if (process.env["MURMUR_ORACLE_QUESTIONS"]) process.stdout.write(`${JSON.stringify(counts)}\n`);
}, 900_000);
