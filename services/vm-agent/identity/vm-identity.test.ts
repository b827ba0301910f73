import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { eventually } from "../../../test/harness/eventually";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { type Clock, systemClock } from "../../../lib/clock";
import { VmServiceService } from "../../../gen/murmur/catalog/v1/vms";
import { createClient, openChannel } from "../../../lib/grpc/client";
import { createLog, silentLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { bearerCredentials } from "../../../lib/identity/credentials";
import { keySetOf } from "../../../lib/identity/key-set";
import { generateSigningKey, rawPublicKey, toPublicKey } from "../../../lib/identity/signing-key";
import {
  createMemoryTenantKeys,
  createRegisterKeys,
  startTestRegister,
  type TestRegister,
} from "../../catalog/vms/test-register";
import { openVmIdentity } from "./open-vm-identity";
import { readVmState } from "./vm-state";

let database: TestDatabase;
let register: TestRegister;
const keys = { ...createRegisterKeys(), tenantKeys: createMemoryTenantKeys() };
const directories: string[] = [];
const never = new AbortController().signal;
/** A call that any VM may make; without a session it fails, but not for who calls. */
const anyFetch = {
  sessionId: "none",
  nonce: Buffer.alloc(16),
  environments: [{ agentId: "a", generation: 1n }],
};

beforeAll(async () => {
  database = await createTestDatabase("catalog");
  register = await startTestRegister({ pool: database.pool, keys });
});
afterAll(async () => {
  await register.stop();
  await database.drop();
  for (const directory of directories) fs.rmSync(directory, { recursive: true });
});

function newDirectory(): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "murmur-identity-"));
  directories.push(directory);
  return directory;
}

async function joinToken(name: string, from = register): Promise<string> {
  return (await (await from.developer()).vms.issueJoinToken({ name })).joinToken;
}

interface Start {
  directory: string;
  token?: string | undefined;
  clock?: Clock;
  from?: TestRegister;
  log?: typeof silentLog;
}

/** A daemon's start, on the part that knows who the machine is. */
function start({ directory, token, clock = systemClock, from = register, log = silentLog }: Start) {
  const client = from.connect().vms;
  const text = token === undefined ? undefined : sensitive(token);
  return openVmIdentity({ directory, client, joinToken: text, clock, log }, never);
}

describe("a machine", () => {
  it("joins once, and comes back without its token, which stays spent", async () => {
    const directory = newDirectory();
    const token = await joinToken("own-1");
    const first = await start({ directory, token });
    expect(first.state).toMatchObject({ tenantId: "acme", name: "own-1" });
    expect(first.state.deliveryPublicKeys).toEqual([rawPublicKey(keys.catalog.publicKey)]);
    for (const again of [undefined, token]) {
      const back = await start({ directory, token: again });
      expect(back.state.vmId).toBe(first.state.vmId);
      await expect(back.currentToken()).resolves.toBeDefined();
    }
  });

  it("without state and token says what to do", async () => {
    await expect(start({ directory: newDirectory() })).rejects.toThrow(
      "this machine has not joined: make a token with murmur vm join-token NAME",
    );
  });

  it("killed between its join and the note of it joins again by the same token", async () => {
    const directory = newDirectory();
    const token = await joinToken("own-2");
    const first = await start({ directory, token });
    fs.rmSync(join(directory, "vm.json"));
    const back = await start({ directory, token });
    expect(back.state.vmId).toBe(first.state.vmId);
  });

  it("that shows another's token is refused", async () => {
    const token = await joinToken("own-3");
    await start({ directory: newDirectory(), token });
    const second = start({ directory: newDirectory(), token });
    await expect(second).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("is known to the catalog by its credentials, and by nobody else's key", async () => {
    const vm = await start({ directory: newDirectory(), token: await joinToken("own-4") });
    const thief = await start({ directory: newDirectory(), token: await joinToken("own-5") });
    const open = (credentials: ReturnType<typeof vm.credentials>) =>
      register.connect(credentials).delivery.fetchEnvironments(anyFetch);
    await expect(open(vm.credentials())).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    const stolen = await vm.currentToken();
    const withStolenToken = register
      .vm(thief.key, stolen.expose())
      .delivery.fetchEnvironments(anyFetch);
    await expect(withStolenToken).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    const bearer = register.connect(bearerCredentials(stolen));
    await expect(bearer.delivery.fetchEnvironments(anyFetch)).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });
});

describe("the VM token", () => {
  it("is renewed ahead of its end, and can be had again after a month away", async () => {
    const clock = new FakeClock(new Date());
    const timed = await startTestRegister({ pool: database.pool, keys, clock });
    const stop = new AbortController();
    try {
      const token = await joinToken("renew-own-1", timed);
      const vm = await start({ directory: newDirectory(), token, clock, from: timed });
      const running = vm.run(stop.signal);
      const seen = new Set<string>();
      for (let minute = 0; minute < 12; minute++) {
        await eventually(() => {
          expect(clock.sleeping).toBeGreaterThan(0);
        });
        await clock.advance(60_000);
        const renewed = await vm.currentToken();
        seen.add(renewed.expose());
      }
      // A token lives 5 minutes and is renewed at 3.
      expect(seen.size).toBeGreaterThanOrEqual(3);
      stop.abort();
      await running;
      await clock.advance(30 * 24 * 3_600_000);
      const back = await start({ directory: directories.at(-1)!, clock, from: timed });
      await expect(back.currentToken()).resolves.toBeDefined();
    } finally {
      await timed.stop();
    }
  });

  it("is asked for once by a hundred callers at a time", async () => {
    await start({ directory: newDirectory(), token: await joinToken("renew-own-2") });
    const back = await start({ directory: directories.at(-1)! });
    const tokens = await Promise.all(Array.from({ length: 100 }, () => back.currentToken()));
    expect(new Set(tokens.map((token) => token.expose())).size).toBe(1);
  });

  it("is thrown away when a service refuses it, but not one that is fresh", async () => {
    const clock = new FakeClock(new Date());
    const timed = await startTestRegister({ pool: database.pool, keys, clock });
    try {
      const token = await joinToken("renew-own-3", timed);
      const vm = await start({ directory: newDirectory(), token, clock, from: timed });
      const first = (await vm.currentToken()).expose();
      vm.refused();
      expect((await vm.currentToken()).expose()).toBe(first);
      await clock.advance(2_000);
      vm.refused();
      expect((await vm.currentToken()).expose()).not.toBe(first);
    } finally {
      await timed.stop();
    }
  });
});

describe("a clock that is wrong", () => {
  const shifted = (byMs: number): Clock => ({
    ...systemClock,
    now: () => new Date(Date.now() + byMs),
  });
  it.each([-400 * 24 * 3_600_000, -3_600_000, -120_000, 120_000, 3_600_000])(
    "by %d ms keeps a VM neither from its token nor from its calls",
    async (byMs) => {
      const token = await joinToken("clock-1");
      const directory = newDirectory();
      await start({ directory, token, clock: shifted(byMs) });
      const vm = await start({ directory, clock: shifted(byMs) });
      const { delivery } = register.connect(vm.credentials());
      const call = delivery.fetchEnvironments(anyFetch);
      // Authenticated: it is the session that is missing.
      await expect(call).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      expect(Math.abs(vm.clock.now().getTime() - Date.now())).toBeLessThan(5_500);
    },
  );

  it("and jumps after that changes nothing", async () => {
    let byMs = -3_600_000;
    const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + byMs) };
    const token = await joinToken("clock-2");
    const vm = await start({ directory: newDirectory(), token, clock });
    byMs = 7_200_000;
    const { delivery } = register.connect(vm.credentials());
    const call = delivery.openDeliverySession({
      hpkePublicKey: Buffer.alloc(0),
      incarnation: Buffer.alloc(0),
      signature: Buffer.alloc(0),
    });
    await expect(call).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("a VM whose rights have ended", () => {
  it("gets no token, and joins again when it is given a new join token", async () => {
    const directory = newDirectory();
    const first = await start({ directory, token: await joinToken("ended-1") });
    await (await register.developer()).vms.removeVm({ name: "ended-1" });
    const back = await start({ directory });
    await expect(back.currentToken()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    const again = await start({ directory, token: await joinToken("ended-1") });
    expect(again.state.vmId).not.toBe(first.state.vmId);
    expect(again.key.publicKey.equals(first.key.publicKey)).toBe(true);
    await expect(again.currentToken()).resolves.toBeDefined();
  });

  it("stays what it was when the new token is refused, too", async () => {
    const directory = newDirectory();
    const first = await start({ directory, token: await joinToken("ended-2") });
    await (await register.developer()).vms.removeVm({ name: "ended-2" });
    const spent = await joinToken("ended-2");
    await start({ directory: newDirectory(), token: spent });
    const back = await start({ directory, token: spent });
    expect(back.state.vmId).toBe(first.state.vmId);
  });
});

describe("a catalog that is away", () => {
  it("keeps no joined machine from starting", async () => {
    const directory = newDirectory();
    const gone = await startTestRegister({ pool: database.pool, keys });
    const first = await start({ directory, token: await joinToken("away-1") });
    await gone.stop();
    const channel = openChannel({ address: gone.address });
    const client = createClient(VmServiceService, channel);
    const joinTokenText = sensitive(await joinToken("away-2"));
    for (const text of [undefined, joinTokenText]) {
      const back = await openVmIdentity(
        { directory, client, joinToken: text, clock: systemClock, log: silentLog },
        never,
      );
      expect(back.state.vmId).toBe(first.state.vmId);
      await expect(back.currentToken()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
    channel.close();
  });
});

describe("delivery keys", () => {
  it("that are not the one in the join token are refused at the join", async () => {
    const impostor = await startTestRegister({
      pool: database.pool,
      keys: { ...createRegisterKeys(), tenantKeys: keys.tenantKeys },
    });
    try {
      const directory = newDirectory();
      const token = await joinToken("pin-1");
      await expect(start({ directory, token, from: impostor })).rejects.toThrow(
        "not the catalog that made the join token",
      );
      expect(readVmState(directory)).toBeUndefined();
    } finally {
      await impostor.stop();
    }
  });

  it("are rolled: a new one is pinned when one that is pinned has signed it, and only then", async () => {
    const directory = newDirectory();
    const vm = await start({ directory, token: await joinToken("pin-2") });
    const next = generateSigningKey("murmur-catalog");
    const { catalog, rotation } = keys;
    const keySet = keySetOf([toPublicKey(catalog), toPublicKey(next), toPublicKey(rotation)]);
    const lines: string[] = [];
    const log = createLog("vm-agent", "info", { write: (line: string) => lines.push(line) });
    const replicaOf = (signer: typeof next) =>
      startTestRegister({ pool: database.pool, keys: { ...keys, catalog: signer, keySet } });

    const tooEarly = await replicaOf(next);
    await (await start({ directory, from: tooEarly, log })).renew();
    await tooEarly.stop();
    expect(readVmState(directory)!.deliveryPublicKeys).toEqual(vm.state.deliveryPublicKeys);
    expect(lines.join("")).toContain("not signed by one that this VM pins");

    const rolling = await replicaOf(catalog);
    await (await start({ directory, from: rolling, log })).renew();
    await rolling.stop();
    const both = [rawPublicKey(catalog.publicKey), rawPublicKey(next.publicKey)];
    expect(readVmState(directory)!.deliveryPublicKeys).toEqual(both);

    const rolled = await replicaOf(next);
    lines.length = 0;
    await (await start({ directory, from: rolled, log })).renew();
    await rolled.stop();
    expect(lines.join("")).not.toContain("not signed");
  });
});
