import { Client, credentials } from "@grpc/grpc-js";

const SERVING = Buffer.from([0x08, 0x01]);

/** Whether the process at `address` says on the standard health service that it serves. */
export async function isServing(address: string): Promise<boolean> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve) => {
      const same = (bytes: Buffer) => bytes;
      const options = { deadline: Date.now() + 500 };
      const { path } = { path: "/grpc.health.v1.Health/Check" };
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), options, (error, response) => {
        resolve(!error && response?.equals(SERVING) === true);
      });
    });
  } finally {
    client.close();
  }
}
