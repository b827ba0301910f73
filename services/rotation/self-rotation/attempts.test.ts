import { systemClock } from "../../../lib/clock";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import { eventually } from "../../../test/harness/eventually";
import { startRotation, type TestRotation } from "../../../test/harness/rotation";

const TOO_MANY = { code: "RESOURCE_EXHAUSTED" };
const NOTHING = { apiKey: "", rotationSecret: "x", confirm: "", requestId: "" };

describe("the limit of attempts", () => {
  let issuer: CredentialIssuer;
  const replicas: TestRotation[] = [];
  const startReplica = async (skewMs: number) => {
    const now = () => new Date(Date.now() + skewMs);
    const clock = { ...systemClock, now };
    const { catalog, rotation } = issuer;
    return startRotation({ catalog, beside: rotation, clock });
  };

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
    replicas.push(await startReplica(3_600_000), await startReplica(-3_600_000));
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.stop();
    await issuer.stop();
  });
  beforeEach(() => issuer.rotation.pool.query("delete from rotation.attempts"));

  const clients = () => [issuer.rotation, ...replicas].map((it) => it.clients().selfRotation);
  /** How many of `count` attempts at once, spread over the replicas, were not answered 429. */
  const attempt = async (count: number) => {
    const spread = clients();
    const outcomes = await Promise.allSettled(
      Array.from({ length: count }, (_, n) => spread[n % spread.length]!.rotateSelf(NOTHING)),
    );
    const reasons = outcomes.map((it): unknown => (it.status === "rejected" ? it.reason : it));
    return reasons.filter((it) => (it as typeof TOO_MANY).code !== TOO_MANY.code).length;
  };

  it("is 3 in any 15 minutes, over replicas whose clocks differ and one that was restarted", async () => {
    // Seconds between the attempts: the answers have to be those of an ideal window. None is within a
    // minute before its edge, because the test takes time, too.
    const gaps = [0, 0, 300, 0, 0, 240, 300, 0, 70, 0, 290, 0, 300, 20, 220, 70, 0, 920, 0, 0, 0];
    const counted: number[] = [];
    let now = 0;
    for (const [at, gap] of gaps.entries()) {
      await issuer.pass(gap);
      now += gap;
      if (at === 8) {
        await replicas.pop()?.stop();
        replicas.push(await startReplica(7_200_000));
      }
      const recent = counted.filter((time) => time > now - 900).length;
      const got = await attempt(2);
      expect({ at, got }).toEqual({ at, got: Math.min(2, 3 - recent) });
      counted.push(...Array<number>(got).fill(now));
    }
  });

  it("lets exactly 3 of many through that come at once", async () => {
    expect(await attempt(30)).toBe(3);
  });

  it("audits those over it, with a count", async () => {
    const audited = async () => {
      const { rows } = await issuer.rotation.pool.query<{ count: number | null }>(
        `select sum((detail->>'count')::int)::int as count from rotation.audit
         where tenant_id = '' and action = 'agent.rotate-self' and outcome = 'refused'
           and peer = '127.0.0.1' and detail->>'limit' = 'self-rotation'`,
      );
      return rows[0]?.count ?? 0;
    };
    const before = await audited();
    expect(await attempt(20)).toBe(3);
    await eventually(async () => {
      expect(await audited()).toBeGreaterThanOrEqual(before + 17);
    });
  });

  it("says when the next attempt counts, which is when it does", async () => {
    await attempt(1);
    await issuer.pass(600);
    await attempt(2);
    const wait = async () => {
      const error: unknown = await issuer.anyone.rotateSelf(NOTHING).catch((it: unknown) => it);
      return (error as { retryAfterMs?: number }).retryAfterMs ?? 0;
    };
    const waitMs = await wait();
    expect(waitMs).toBeGreaterThan(200_000);
    expect(waitMs).toBeLessThanOrEqual(300_000);
    await issuer.pass(300);
    expect(await attempt(3)).toBe(1);
  });
});
