import { randomUUID } from "node:crypto";
import type { Connection, Pool, QueryResult } from "../../../lib/postgres/db";
import { systemClock } from "../../../lib/clock";
import { sensitive } from "../../../lib/sensitive";
import { type CredentialIssuer, startCredentialIssuer } from "../../../test/harness/credentials";
import { postgresSealedAnswerStore } from "../credentials/store/postgres-sealed-answer-store";
import { postgresAttemptStore } from "../limits/postgres-attempt-store";
import { rotateSelf } from "./rotate-self";
import { postgresPairStore } from "./store/postgres-pair-store";
import { postgresRegisteredAgentStore } from "./store/postgres-registered-agent-store";

/** Told of each statement; what it throws, the statement's caller gets. */
interface Watch {
  before?: (text: string, connection: Connection) => Promise<void>;
  after?: (text: string) => void;
}

function watched(pool: Pool, { before, after }: Watch): Pool {
  const connect = async (): Promise<Connection> => {
    const connection = await pool.connect();
    return {
      async query<R extends object>(text: string, ...rest: never[]): Promise<QueryResult<R>> {
        await before?.(text, connection);
        const result = await connection.query<R>(text, ...rest);
        after?.(text);
        return result;
      },
      release: (broken) => {
        connection.release(broken);
      },
    };
  };
  return { connect, query: (...args) => pool.query(...args), close: () => pool.close() };
}

describe("a rotation", () => {
  let issuer: CredentialIssuer;

  beforeAll(async () => {
    issuer = await startCredentialIssuer();
  });
  afterAll(() => issuer.stop());
  beforeEach(() => issuer.rotation.pool.query("delete from rotation.attempts"));

  const register = async () => {
    const ann = issuer.registrar("github/ann", "admin");
    return ann.registerAgent({ invitation: "", name: "", requestId: "" });
  };
  const rotate = (
    { apiKey, rotationSecret }: { apiKey: string; rotationSecret: string },
    { watch, requestId = "", confirm = "" }: { watch: Watch; requestId?: string; confirm?: string },
  ) =>
    rotateSelf(
      {
        ...{ pool: watched(issuer.rotation.pool, watch), agents: postgresRegisteredAgentStore },
        ...{ pairs: postgresPairStore, attempts: postgresAttemptStore },
        ...{
          answers: postgresSealedAnswerStore,
          reuses: { note: () => undefined },
          gather: () => undefined,
          clock: systemClock,
        },
      },
      {
        ...{ apiKey: sensitive(apiKey), rotationSecret: sensitive(rotationSecret), confirm },
        ...{ requestId: sensitive(requestId), peer: `peer-${randomUUID()}` },
      },
    );
  const isValid = async (value: string) =>
    (await issuer.verifier().verifyCredential({ value })).valid;

  it.each(["", "two-phase"])(
    "(%j) whose server is killed before any statement, or after the last, locks nobody out",
    async (confirm) => {
      const statements: string[] = [];
      const count = { after: (text: string) => void statements.push(text) };
      await rotate(await register(), { watch: count, requestId: randomUUID(), confirm });
      expect(statements.length).toBeGreaterThan(8);
      for (let step = 0; step <= statements.length; step++) {
        await issuer.rotation.pool.query("delete from rotation.attempts");
        const pair = await register();
        const requestId = randomUUID();
        let at = 0;
        const watch = {
          // The connection is lost, as with the process; what was not committed is rolled back.
          before: async (_: string, connection: Connection) => {
            if (at++ !== step) return;
            await connection.query("select pg_terminate_backend(pg_backend_pid())");
          },
          after: (text: string) => {
            if (step === statements.length && text === "commit") throw new Error("killed");
          },
        };
        await expect(rotate(pair, { watch, requestId, confirm })).rejects.toThrow();
        const { apiKey, rotationSecret } = pair;
        const request = { apiKey, rotationSecret, confirm, requestId };
        const next = await issuer.anyone.rotateSelf(request);
        expect(await isValid(next.apiKey)).toBe(true);
        expect(await isValid(apiKey)).toBe(false);
      }
    },
  );

  it("that is refused takes the same statements whatever the cause: its time tells nothing", async () => {
    const [good, revoked, old] = [await register(), await register(), await register()];
    const ann = issuer.registrar("github/ann", "admin");
    await ann.revokeAgent({ agentId: revoked.agent?.agentId ?? "" });
    await rotate(old, { watch: {} });
    const never = { apiKey: otherThan(good.apiKey), rotationSecret: good.rotationSecret };
    const causes = {
      ...{ never, old, revoked, nonsense: { apiKey: "x", rotationSecret: "y" } },
      wrongSecret: { apiKey: good.apiKey, rotationSecret: old.rotationSecret },
      garbledSecret: { apiKey: good.apiKey, rotationSecret: "x" },
    };
    const taken = new Map<string, string[]>();
    for (const [cause, pair] of Object.entries(causes)) {
      const texts: string[] = [];
      const watch = { after: (text: string) => void texts.push(text) };
      await expect(rotate(pair, { watch })).rejects.toThrow();
      taken.set(cause, texts);
    }
    expect(taken.get("never")?.length).toBeGreaterThan(3);
    for (const [, texts] of taken) expect(texts).toEqual(taken.get("never"));
  });

  it("is one of many that ask at once with one pair", async () => {
    const pair = await register();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 15 }, () => rotate(pair, { watch: {} })),
    );
    const made = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
    expect(made).toHaveLength(1);
    expect(await isValid(made[0]!.apiKey.expose())).toBe(true);
    const refused = outcomes.filter((it) => it.status === "rejected");
    for (const { reason } of refused) expect(reason).toMatchObject({ code: "UNAUTHENTICATED" });
  });
});

/** What was never made: with another last character. */
function otherThan(value: string): string {
  return value.replace(/.$/, (last) => (last === "x" ? "y" : "x"));
}
