import { Client, credentials } from "@grpc/grpc-js";

/** What the standard health service says of a name, asked without any code of the product. */
export async function healthOf(
  address: string,
  service: string,
): Promise<"SERVING" | "NOT_SERVING" | "away"> {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
  });
  const same = (bytes: Buffer) => bytes;
  // HealthCheckRequest{service = 1}; an empty string is left out.
  const name = Buffer.from(service);
  const request = Buffer.concat([Buffer.from(name.length ? [0x0a, name.length] : []), name]);
  try {
    return await new Promise((resolve) => {
      const options = { deadline: Date.now() + 10_000 };
      const path = "/grpc.health.v1.Health/Check";
      client.makeUnaryRequest(path, same, same, request, options, (error, response) => {
        if (error || !response) resolve("away");
        // HealthCheckResponse{status = 1}
        else resolve(response.equals(Buffer.from([8, 1])) ? "SERVING" : "NOT_SERVING");
      });
    });
  } finally {
    client.close();
  }
}
