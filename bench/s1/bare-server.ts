import { createCipheriv, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { Pool } from "pg";
import {
  type Ack,
  BARE_KEY,
  BARE_SERVICE,
  type Change,
  type ChangeAnswer,
  type Push,
  type SealedAgent,
} from "./bare-protocol";
import { SECRETS, secretName, secretValue } from "./set-of-round";

const AT = "(extract(epoch from at) * 1e6)::bigint::text as us";

/**
 * The least that stands between a change and a daemon: one insert, committed, then the sealed sets on
 * a gRPC stream; the acks go into one insert. No authentication, no rollout, no outbox, no retry.
 */
export async function serve([url = "", portFile = ""]: readonly string[]): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 4 });
  await pool.query(`create schema if not exists bench;
    drop table if exists bench.changes, bench.acks;
    create table bench.changes (round bigint primary key, agents jsonb not null,
      at timestamptz not null default clock_timestamp());
    create table bench.acks (round bigint primary key, agents jsonb not null,
      at timestamptz not null default clock_timestamp())`);
  const insert = async (table: "changes" | "acks", round: number, agents: readonly string[]) => {
    const { rows } = await pool.query<{ us: string }>({
      name: table,
      text: `insert into bench.${table} (round, agents) values ($1, $2) returning ${AT}`,
      values: [round, JSON.stringify(agents)],
    });
    return Number(rows[0]?.us);
  };
  let connect: (call: ServerDuplexStream<Ack, Push>) => void = () => undefined;
  const daemon = new Promise<ServerDuplexStream<Ack, Push>>((resolve) => (connect = resolve));
  const waiting = new Map<number, (ackedUs: number) => void>();
  const change = async ({ round, agents }: Change): Promise<ChangeAnswer> => {
    const stream = await daemon;
    const sealed = agents.map((agent) => seal(agent, round));
    const acked = new Promise<number>((resolve) => waiting.set(round, resolve));
    const committedUs = await insert("changes", round, agents);
    stream.write({ round, agents: sealed });
    return { committedUs, ackedUs: await acked };
  };
  const server = new Server();
  server.addService(BARE_SERVICE, {
    change: (call: ServerUnaryCall<Change, ChangeAnswer>, reply: sendUnaryData<ChangeAnswer>) => {
      change(call.request).then(
        (answer) => {
          reply(null, answer);
        },
        (error: unknown) => {
          reply(error as Error);
        },
      );
    },
    watch: (call: ServerDuplexStream<Ack, Push>) => {
      connect(call);
      call.on("data", ({ round, agents }: Ack) => {
        void insert("acks", round, agents).then((ackedUs) => {
          waiting.get(round)?.(ackedUs);
          waiting.delete(round);
        });
      });
    },
  });
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    writeFileSync(portFile, String(port));
  });
  await new Promise(() => undefined);
}

function seal(agent: string, round: number): SealedAgent {
  const variables = Array.from({ length: SECRETS }, (_, at) => [
    ...[secretName(at), secretValue(at, round)],
  ]);
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", BARE_KEY, iv);
  cipher.setAAD(Buffer.from(`${agent}\0${round}`));
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(variables)), cipher.final()]);
  return { agent, iv, ciphertext, tag: cipher.getAuthTag() };
}
