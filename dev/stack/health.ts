import { Client, credentials } from "@grpc/grpc-js";

const SERVING = Buffer.from([0x08, 0x01]);

/** Whether the process at `address` says on the standard health service that it serves. */
export async function isServing(address: string): Promise<boolean> {
  // A proxy that the environment names for the web knows nothing of this machine.
  const options = { "grpc.enable_http_proxy": 0 };
  const client = new Client(address, credentials.createInsecure(), options);
  try {
    return await new Promise((resolve) => {
      const same = (bytes: Buffer) => bytes;
      const deadline = { deadline: Date.now() + 500 };
      const { path } = { path: "/grpc.health.v1.Health/Check" };
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), deadline, (error, response) => {
        resolve(!error && response?.equals(SERVING) === true);
      });
    });
  } finally {
    client.close();
  }
}

/** Whether the gateway at `address` says that it is ready. */
export async function isAnswering(address: string): Promise<boolean> {
  try {
    const options = { signal: AbortSignal.timeout(2_000) };
    return (await fetch(`http://${address}/readyz`, options)).ok;
  } catch {
    return false; // Not there yet.
  }
}
