import { downloadGrpcurl } from "../../dev/parts/grpcurl";
import { downloadKafka } from "../../dev/parts/kafka";
import { downloadOpenBao } from "../../dev/parts/openbao";
import { startPartsServer, type PartsServer } from "./parts-server";

declare global {
  var murmurPartsServer: PartsServer | undefined;
}

/**
 * Starts nothing heavy: the parts come up when the first test asks for one. A run of everything
 * gets beforehand what is downloaded once, so that no test waits for it.
 */
// eslint-disable-next-line import-x/no-default-export -- jest calls the default export
export default async function globalSetup({ nonFlagArgs }: { nonFlagArgs: string[] }) {
  // Other users' programs read what tests write, whatever shell the tests are run in.
  process.umask(0o022);
  if (nonFlagArgs.length === 0) await download();
  globalThis.murmurPartsServer = await startPartsServer();
  process.env["TEST_PARTS_SOCKET"] = globalThis.murmurPartsServer.socketPath;
}

async function download(): Promise<void> {
  const downloads: Promise<unknown>[] = [downloadGrpcurl()];
  if (process.env["MURMUR_TEST_KAFKA"] === undefined) downloads.push(downloadKafka());
  if (process.env["MURMUR_TEST_VAULT"] === undefined) downloads.push(downloadOpenBao());
  for (const outcome of await Promise.allSettled(downloads)) {
    // The tests that need the part fail with the same words.
    if (outcome.status === "rejected") process.stderr.write(`${String(outcome.reason)}\n`);
  }
}
