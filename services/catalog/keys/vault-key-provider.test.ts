import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { randomBytes, randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sensitive } from "../../../lib/sensitive";
import { describeKeyProvider } from "../../../test/contract/key-provider";
import { testOpenBao } from "../../../test/harness/openbao";
import { createVaultKeyProvider } from "./vault-key-provider";

/** For calls that are to be answered: a busy machine may take longer than the product waits. */
const PATIENT = { timeoutMs: 20_000 };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-vault-"));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function tokenFile(token: string): string {
  const file = join(directory, randomUUID());
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return file;
}

describeKeyProvider("Vault transit", async () => {
  const bao = await testOpenBao();
  const file = tokenFile(bao.token.expose());
  const open = (transitKey: string) =>
    createVaultKeyProvider({ address: bao.address, tokenFile: file, transitKey, ...PATIENT });
  const transitKey = `test-${randomUUID()}`;
  const [provider, another] = [open(transitKey), open(transitKey)];
  return { provider, another, stranger: open(`test-${randomUUID()}`) };
});

describe("the Vault key provider", () => {
  const key = sensitive(randomBytes(32));
  const away = { code: "UNAVAILABLE", retryAfterMs: expect.any(Number) as number };
  let server: Server | undefined;
  let connections = 0;

  async function serve(
    answer: (end: (status: number, body: object) => void, path: string) => void,
  ) {
    server = createServer((request, response) => {
      answer((status, body) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(body));
      }, request.url ?? "");
    });
    server.on("connection", () => connections++);
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
  });
  const open = (address: string, timeoutMs = 300) =>
    createVaultKeyProvider({ address, tokenFile: tokenFile("t"), transitKey: "k", timeoutMs });

  it("answers UNAVAILABLE within its own time when Vault accepts and never answers", async () => {
    const address = await serve(() => undefined);
    let isOver = false;
    const patient = open(address, PATIENT.timeoutMs)
      .wrap(key)
      .catch((error: unknown) => error)
      .finally(() => (isOver = true));
    await expect(open(address).wrap(key)).rejects.toMatchObject(away);
    expect(connections).toBeGreaterThan(0);
    expect(isOver).toBe(false);
    server?.closeAllConnections();
    expect(await patient).toMatchObject(away);
  });

  it("answers UNAVAILABLE when nothing listens", async () => {
    await expect(open("http://127.0.0.1:1").wrap(key)).rejects.toMatchObject(away);
  });

  it.each([
    [503, "Vault is sealed"],
    [403, "permission denied"],
    [500, "internal error"],
    [429, "too many requests"],
  ])("answers UNAVAILABLE to status %i (%s)", async (status, text) => {
    const provider = open(
      await serve((end) => {
        end(status, { errors: [text] });
      }),
    );
    await expect(provider.unwrap(Buffer.from("vault:v1:x"))).rejects.toMatchObject(away);
  });

  it("says that Vault keeps the making of newer keys to itself", async () => {
    const asked: string[] = [];
    const provider = open(
      await serve((end, path) => {
        asked.push(path);
        end(403, { errors: ["permission denied"] });
      }),
      PATIENT.timeoutMs,
    );
    await expect(provider.rotate()).rejects.toMatchObject({
      ...{ code: "FAILED_PRECONDITION", metadata: { key_provider: "vault-transit" } },
    });
    expect(asked).toEqual(["/v1/transit/keys/k/rotate"]);
  });

  it("answers UNAVAILABLE when its token file is gone, and to a token that Vault refuses", async () => {
    const { address } = await testOpenBao();
    const options = { address, transitKey: "k" };
    const missing = createVaultKeyProvider({ ...options, tokenFile: join(directory, "none") });
    await expect(missing.wrap(key)).rejects.toMatchObject(away);
    const refused = createVaultKeyProvider({ ...options, tokenFile: tokenFile("wrong") });
    await expect(refused.wrap(key)).rejects.toMatchObject(away);
  });

  it("tells nothing of token or key in its errors", async () => {
    const provider = createVaultKeyProvider({
      address: "http://127.0.0.1:1",
      tokenFile: tokenFile("s.the-token"),
      transitKey: "k",
    });
    const error = await provider.wrap(key).catch((thrown: unknown) => thrown as Error);
    const { cause } = error as Error;
    const text = JSON.stringify([error, Object.getOwnPropertyDescriptors(cause)]);
    expect(text).not.toContain("s.the-token");
    expect(text).not.toContain(key.expose().toString("base64"));
  });

  it("takes a renewed token from its file without a restart", async () => {
    const { address, token } = await testOpenBao();
    const file = tokenFile("old");
    const options = { address, tokenFile: file, transitKey: "renewed", ...PATIENT };
    const provider = createVaultKeyProvider(options);
    await expect(provider.wrap(key)).rejects.toMatchObject(away);
    writeFileSync(file, token.expose());
    await expect(provider.wrap(key)).resolves.toBeInstanceOf(Buffer);
  });
});
