import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import fc from "fast-check";
import { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import { SecretServiceService } from "../../../gen/murmur/catalog/v1/secrets";
import { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";

let catalog: TestCatalog;
let client: Client;
beforeAll(async () => {
  catalog = await startCatalog();
  client = new Client(catalog.address, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await catalog.stop();
});

const TENANT = "acme";
const RPCS: string[] = [
  ...Object.values(SecretServiceService),
  ...Object.values(WorkspaceServiceService),
  ...Object.values(EnvironmentServiceService),
].map(({ path }) => path);

/** Sends bytes to a method as whoever may call it, and returns the error, if there is one. */
async function send(path: string, bytes: Buffer): Promise<ServiceError | undefined> {
  const isRotations =
    /SnapshotEnvironments|ReleaseGenerations|FindPins|PreviewEnvironments|SetAgentSecrets/.test(
      path,
    );
  const who = isRotations ? catalog.rotation(TENANT) : catalog.developer({ tenantId: TENANT });
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(await who(path))) metadata.set(key, value);
  const same = (value: Buffer) => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, bytes, metadata, (error) => {
      resolve(error ?? undefined);
    });
  });
}

const EXPECTED = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.ALREADY_EXISTS,
  status.ABORTED,
]);

describe.each(RPCS)("%s", (path) => {
  it("answers any bytes with a clear error or an answer, never as a bug", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const error = await send(path, Buffer.from(bytes));
        if (error) expect(EXPECTED).toContain(error.code);
      }),
      { numRuns: 40 },
    );
  }, 180_000);

  it("answers strings of any kind in every field with a clear error or an answer", async () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    const field = fc.record({ number: fc.integer({ min: 1, max: 8 }), text });
    await fc.assert(
      fc.asyncProperty(fc.array(field, { minLength: 1, maxLength: 6 }), async (fields) => {
        const error = await send(path, Buffer.concat(fields.map(encodeField)));
        if (error) expect(EXPECTED).toContain(error.code);
      }),
      { numRuns: 60 },
    );
  }, 180_000);

  it("refuses a message over the limit", async () => {
    const error = await send(path, Buffer.alloc(5 * 1024 * 1024, 0x0a));
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

/** A length-delimited field: what strings, bytes and messages are on the wire. */
function encodeField({ number, text }: { number: number; text: string }): Buffer {
  const bytes = Buffer.from(text);
  const length = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes]);
}
