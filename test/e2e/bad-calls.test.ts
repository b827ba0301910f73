import { readdirSync } from "node:fs";
import { connect, type ClientHttp2Session } from "node:http2";
import { eventually } from "../harness/eventually";
import type { ContractRpc } from "./contract-rpcs";
import { codeOf, nameOf, RPCS, useFuzzedStack } from "./fuzzed-stack";

const rig = useFuzzedStack();
const { credentialsFor, send, spawn } = rig;

/** A call whose bytes and headers are all the test's own. */
function post(
  session: ClientHttp2Session,
  path: string,
  { headers = {}, body = frame(Buffer.alloc(0)) }: { headers?: object; body?: Buffer } = {},
): Promise<{ status: string; grpcStatus: string | undefined }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let status = "";
    let grpcStatus: string | undefined;
    const note = (fields: Record<string, unknown>) => {
      if (":status" in fields) status = String(fields[":status"]);
      if ("grpc-status" in fields) grpcStatus = String(fields["grpc-status"]);
    };
    stream.on("response", note).on("trailers", note).on("error", reject);
    stream.on("close", () => resolve({ status, grpcStatus }));
    stream.resume();
    stream.end(body);
  });
}

/** A gRPC frame that says how long its message is, true or not. */
function frame(message: Buffer, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

async function withSession<T>(
  service: ContractRpc["service"],
  use: (session: ClientHttp2Session) => Promise<T>,
): Promise<T> {
  const session = connect(`http://${rig.stack.place[service]}`);
  session.on("error", () => undefined);
  try {
    return await use(session);
  } finally {
    session.destroy();
  }
}

const DEADLINE_EXCEEDED = "4";

test.each(RPCS.map((rpc) => [nameOf(rpc), rpc] as const))(
  "%s says so when its deadline has passed before it arrives",
  async (_, rpc) => {
    const headers = { ...(await credentialsFor(rpc)), "grpc-timeout": "1n" };
    const answer = await withSession(rpc.service, (session) =>
      post(session, rpc.path, { headers }),
    );
    expect(answer.grpcStatus).toBe(DEADLINE_EXCEEDED);
  },
);

test.each(["catalog", "rotation"] as const)(
  "%s refuses what is not gRPC: another content type, an unknown method, HTTP/1",
  async (service) => {
    const { path } = RPCS.find((rpc) => rpc.service === service)!;
    await withSession(service, async (session) => {
      const headers = { "content-type": "application/json" };
      const body = Buffer.from("{}");
      expect((await post(session, path, { headers, body })).status).toBe("415");
      const unknown = await post(session, "/murmur.none.v1.None/None");
      expect(unknown.grpcStatus).toBe("12");
    });
    await expect(fetch(`http://${rig.stack.place[service]}${path}`)).rejects.toThrow();
  },
);

describe("a client that vanishes", () => {
  /** One that stays open. */
  async function openRollout(): Promise<string> {
    await spawn("watched");
    const rekey = { workspace: "demo", path: "watched", requestId: "", reason: "" };
    return (await rig.fuzzed.rollouts.rekeyAgent(rekey)).rollout!.rolloutId;
  }

  const handles = (part: string) => readdirSync(`/proc/${rig.stack.pidOf(part)}/fd`).length;

  test("in the middle of a stream, of a message or of a call leaves nothing behind", async () => {
    const rolloutId = Buffer.from(await openRollout());
    const watch = frame(Buffer.concat([Buffer.from([0x0a, rolloutId.length]), rolloutId]));
    const path = "/murmur.rotation.v1.RolloutService/WatchRollout";
    const headers = await rig.principals.developer(path);
    const handlesBefore = handles("rotation");
    for (let n = 0; n < 30; n++) {
      const body = n % 3 === 2 ? frame(Buffer.from("half"), 1000) : watch;
      await withSession("rotation", async (session) => {
        const stream = session.request({
          ...{ ":method": "POST", ":path": path, te: "trailers" },
          ...{ "content-type": "application/grpc", ...headers },
        });
        stream.on("error", () => undefined);
        if (n % 3 === 0) {
          stream.end(body);
          await new Promise((resolve) => stream.once("data", resolve));
        } else {
          // Without an end: the service still waits for more.
          stream.write(body);
          await new Promise((resolve) => session.ping(resolve));
        }
      });
    }
    // Connections to PostgreSQL that it took for the crowd are given back when idle for 30 s.
    await eventually(() => expect(handles("rotation")).toBeLessThanOrEqual(handlesBefore), {
      timeoutMs: 90_000,
    });
    const rpc = RPCS.find((it) => it.path.endsWith("/GetIdentity"))!;
    expect(codeOf(await send(rpc, Buffer.alloc(0)))).toBe("OK");
  }, 360_000);
});
