import { request } from "node:http";

/** Asks the process that keeps the parts of this run; the first question starts the part. */
export async function askForPart<T>(what: string, ...args: string[]): Promise<T> {
  const socketPath = process.env["TEST_PARTS_SOCKET"];
  if (!socketPath) throw new Error("the test harness is not running: use jest's configuration");
  const { status, text } = await post(socketPath, JSON.stringify([what, ...args]));
  const body = JSON.parse(text) as T & { message?: string };
  if (status !== 200) throw new Error(`test harness: ${body.message ?? "no message"}`);
  return body;
}

function post(socketPath: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, method: "POST", path: "/", agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: incoming.statusCode ?? 0, text });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
