import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import { addReflection } from "./reflection";

const SERVED = ["murmur.catalog.v1.SecretService", "murmur.catalog.v1.VmService"];
/** `list_services` and `file_containing_symbol` of a ServerReflectionRequest. */
const LIST_SERVICES = Buffer.from([0x3a, 0x00]);
const fileWith = (symbol: string) =>
  Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)]);

let server: Server;
let client: Client;

beforeAll(async () => {
  server = new Server();
  addReflection(server, SERVED, DESCRIPTOR_SET);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterAll(() => {
  client.close();
  server.forceShutdown();
});

/** The answers to these requests, sent at once, as Latin-1 text; rejects with the call's status. */
function ask(version: string, ...requests: Buffer[]): Promise<string[]> {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const asItIs = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(path, asItIs, asItIs, {
    deadline: Date.now() + 20_000,
  });
  for (const request of requests) call.write(request);
  call.end();
  return new Promise((resolve, reject) => {
    const answers: string[] = [];
    call.on("data", (answer: Buffer) => answers.push(answer.toString("latin1")));
    call.on("error", reject);
    call.on("end", () => {
      resolve(answers);
    });
  });
}

describe.each(["v1", "v1alpha"])("server reflection (%s)", (version) => {
  test("names what is served and health, nothing else", async () => {
    const [answer = ""] = await ask(version, LIST_SERVICES);
    const named = answer.match(/[a-z][a-zA-Z0-9.]*Service|grpc[a-zA-Z0-9.]+/g);
    expect(named?.sort()).toEqual(["grpc.health.v1.Health", ...SERVED]);
  });

  test("gives each file with what it imports, in the order of the requests", async () => {
    const requests = [fileWith(SERVED[1]!), LIST_SERVICES, fileWith(SERVED[0]!)];
    const [vms = "", list = "", secrets = ""] = await ask(version, ...requests);
    expect(vms).toContain("murmur/catalog/v1/vms.proto");
    expect(vms).toContain("google/protobuf/timestamp.proto");
    expect(list).toContain("grpc.health.v1.Health");
    expect(secrets).toContain("murmur/catalog/v1/secrets.proto");
  });

  test("refuses what is no request, and answers the next call", async () => {
    await expect(ask(version, Buffer.from([0x07]))).rejects.toMatchObject({ code: 3 });
    expect(await ask(version, LIST_SERVICES)).toHaveLength(1);
  });
});
