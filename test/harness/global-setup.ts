import { startPartsServer, type PartsServer } from "./parts-server";

declare global {
  var murmurPartsServer: PartsServer | undefined;
}

/** Starts nothing heavy: the parts come up when the first test asks for one. */
// eslint-disable-next-line import-x/no-default-export -- jest calls the default export
export default async function globalSetup(): Promise<void> {
  globalThis.murmurPartsServer = await startPartsServer();
  process.env["TEST_PARTS_SOCKET"] = globalThis.murmurPartsServer.socketPath;
}
