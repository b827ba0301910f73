import fc from "fast-check";
import { DESCRIPTOR_SET } from "../gen/descriptor-set";
import { SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { createGrpcServer } from "../lib/grpc/server";
import { silentLog } from "../lib/log";
import type { TestCli } from "../test/harness/murmur-cli";
import { useCatalogRig } from "../test/harness/catalog-rig";

const rig = useCatalogRig();
const { murmur } = rig;
let cli: TestCli;

beforeEach(() => {
  ({ cli } = rig);
});

describe("a value", () => {
  it("arrives byte for byte, less one newline at its end", async () => {
    const received: Buffer[] = [];
    const recorder = await startRecorder(received);
    const into = cli.configured({ catalog: recorder.address, token: "t" });
    const random = fc.sample(fc.uint8Array({ maxLength: 300 }), { numRuns: 5, seed: 7 });
    const values = [
      ...["a\r\n", "\n\n", " $x = `y` \\ # \"'\t", "ü\0", "x".repeat(65_536)],
      ...random.map((bytes) => Buffer.from(bytes)),
    ].map((value) => Buffer.from(value as string));
    for (const value of values) {
      const input = Buffer.concat([value, Buffer.from("\n")]);
      expect((await murmur("secret set KEY", { input, cwd: into })).code).toBe(0);
    }
    await recorder.stop();
    expect(received.map((value) => value.toString("hex"))).toEqual(
      values.map((value) => value.toString("hex")),
    );
  });

  it("is literal text in JSON and YAML", async () => {
    const received: Buffer[] = [];
    const recorder = await startRecorder(received);
    const into = cli.configured({ catalog: recorder.address, token: "t" });
    const documents = {
      '{"plaintext_value": "ZGQ=\\n\\u00fc"}': "ZGQ=\nü",
      "plaintext_value: 007": "007",
      "plaintext_value: true": "true",
      "plaintext_value: |\n  line 1\n  line 2\n": "line 1\nline 2\n",
      "plaintext_value: ' a '": " a ",
    };
    for (const input of Object.keys(documents))
      expect((await murmur("set secret KEY", { input, cwd: into })).code).toBe(0);
    await recorder.stop();
    expect(received.map((value) => value.toString())).toEqual(Object.values(documents));
  });
});

/** A catalog that takes any value from anybody and keeps it, to look at what was sent. */
async function startRecorder(received: Buffer[]) {
  const unused = () => Promise.reject(new Error("not used here"));
  const paths = Object.values(SecretServiceService).map(({ path }) => path);
  const server = createGrpcServer({
    authenticate: () => Promise.resolve(undefined),
    log: silentLog,
    maxTimeoutMs: 10_000,
    access: Object.fromEntries(paths.map((path) => [path, { anyone: true as const }])),
    descriptorSet: DESCRIPTOR_SET,
  });
  server.add(SecretServiceService, {
    setSecret: ({ plaintextValue }) => {
      received.push(plaintextValue);
      return Promise.resolve({ secret: undefined });
    },
    getSecret: unused,
    listSecrets: unused,
    deleteSecret: unused,
    listSecretVersions: unused,
    importSecrets: unused,
    revokeSecret: unused,
    destroySecretVersion: unused,
  });
  const port = await server.listen("127.0.0.1:0");
  return { address: `127.0.0.1:${port}`, stop: () => server.stop(0) };
}
