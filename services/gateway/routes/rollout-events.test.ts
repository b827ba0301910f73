import { startTestGateway, type Rest, type TestGateway } from "../../../test/harness/gateway";

let gateway: TestGateway;
let owner: Rest;
let token: string;

beforeAll(async () => {
  gateway = await startTestGateway();
  token = await gateway.token();
  owner = gateway.rest(token);
});
afterAll(() => gateway.stop());

interface Event {
  id: string;
  event: string;
  data: { rollout: { state: string }; targets: { agent_id: string; state: string }[] };
}

/** An open event stream. */
interface Stream {
  status: number;
  /** The next event; undefined when the stream has ended. */
  next: () => Promise<Event | undefined>;
  close: () => void;
}

async function open(rolloutId: string, lastEventId?: string, url = gateway.url): Promise<Stream> {
  const controller = new AbortController();
  const response = await fetch(`${url}/v1/rollouts/${rolloutId}/events`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
    },
    signal: controller.signal,
  });
  const events = response.body ? eventsOf(response.body) : undefined;
  return {
    status: response.status,
    next: async () => (await events?.next())?.value ?? undefined,
    close: () => {
      controller.abort();
    },
  };
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Event, undefined> {
  let text = "";
  for await (const bytes of body) {
    text += Buffer.from(bytes).toString();
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n").map((line) => line.split(/: (.*)/s));
      const { id, event, data } = Object.fromEntries(lines) as Record<string, string>;
      if (id !== undefined && event !== undefined && data !== undefined)
        yield { id, event, data: JSON.parse(data) as Event["data"] };
    }
  }
  return undefined;
}

/** A rollout of one agent whose VM does not answer, until it is removed. */
async function startRollout(name: string): Promise<{ id: string; finish: () => Promise<unknown> }> {
  const vm = await gateway.catalog.joinVm("t1", name);
  await owner(`/v1/workspaces/${name}`, { method: "PUT", body: { vms: [name] } });
  const agents = `/v1/workspaces/${name}/agents`;
  await owner(agents, { method: "POST", body: { slug: "a", command: ["sleep", "1d"] } });
  const { json } = await owner(`${agents}/a/rekey`, { method: "POST" });
  return {
    id: (json["rollout"] as { rollout_id: string }).rollout_id,
    finish: () => owner(`/v1/vms/${vm.name}`, { method: "DELETE" }),
  };
}

describe("the events of a rollout", () => {
  it("begin with its whole state, and end with the rollout", async () => {
    const { id, finish } = await startRollout("whole");
    const stream = await open(id);
    const first = await stream.next();
    expect(first).toMatchObject({ event: "progress", data: { rollout: { state: "open" } } });
    expect(first?.data.targets).toMatchObject([{ state: "pending" }]);
    await finish();
    let last = first;
    for (let next = first; next; next = await stream.next()) last = next;
    expect(last).toMatchObject({ event: "done", data: { rollout: { state: "completed" } } });
  });

  it("go on behind the last that was seen, at another replica, too", async () => {
    const { id, finish } = await startRollout("resumed");
    const first = await open(id);
    const seen = (await first.next())?.id;
    first.close();
    const other = await startTestGateway({ beside: gateway });
    const second = await open(id, seen, other.url);
    await finish();
    const ids: (string | undefined)[] = [];
    let targets: string[] = [];
    while (!targets.includes("skipped")) {
      const news = await second.next();
      ids.push(news?.id);
      targets = news?.data.targets.map(({ state }) => state) ?? ["skipped"];
    }
    // What was seen did not come again.
    expect(ids).not.toContain(seen);
    expect(ids).not.toContain(undefined);
    second.close();
    await other.stop();
  });

  it("bring what was missed meanwhile, and nothing more to who has seen the end", async () => {
    const { id, finish } = await startRollout("missed");
    const first = await open(id);
    const seen = (await first.next())?.id;
    first.close();
    await finish();
    const watching = await open(id);
    for (let next = await watching.next(); next; next = await watching.next());
    const late = await open(id, seen);
    const missed = await late.next();
    expect(missed).toMatchObject({ event: "done", data: { rollout: { state: "completed" } } });
    expect(missed?.data.targets).toMatchObject([{ state: "skipped" }]);
    expect(await late.next()).toBeUndefined();
    expect(await open(id, missed?.id)).toMatchObject({ status: 204 });
  });

  it("are not found for a rollout of another tenant, in the words of every error", async () => {
    const { id } = await startRollout("foreign");
    const stranger = gateway.rest(await gateway.token({ tenantId: "t2" }));
    expect(await stranger(`/v1/rollouts/${id}/events`)).toMatchObject({
      status: 404,
      json: { error: { code: "NOT_FOUND", details: { reason: "ROLLOUT_NOT_FOUND" } } },
    });
  });

  it("end when the gateway stops, so that the client asks another replica", async () => {
    const { id } = await startRollout("stopped");
    const other = await startTestGateway({ beside: gateway });
    const stream = await open(id, undefined, other.url);
    await stream.next();
    const began = performance.now();
    await other.stop();
    expect(await stream.next()).toBeUndefined();
    // Not by the cut at the end of the grace: the client keeps its connection open.
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
