import { createConnection } from "node:net";
import { errorReasonFromJSON } from "../../gen/murmur/errors/v1/error_reason";
import { AppError, deadlineExceeded, type ErrorCode, unavailable } from "../../lib/errors";

/** A little more than the daemon gives itself for an answer. */
const TIMEOUT_MS = 65_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export type Json = Record<string, unknown>;

/**
 * Asks this VM's daemon over its local socket: a line of JSON each way, as
 * services/vm-agent/local-socket/protocol.ts lays out. Who asks is the kernel's word. Throws the
 * daemon's refusal as an AppError, and UNAVAILABLE when nobody answers.
 */
export async function askDaemon(socketPath: string, method: string, params: Json): Promise<Json> {
  const line = await exchange(socketPath, `${JSON.stringify({ id: "1", method, params })}\n`);
  const answer = parseObject(line);
  if (isObject(answer["error"])) throw toAppError(answer["error"]);
  if (isObject(answer["result"])) return answer["result"];
  throw unavailable("the VM's daemon gave an answer that is none");
}

/** Sends one line and gives the line that comes back. */
function exchange(socketPath: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = createConnection(socketPath);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      end();
    };
    const fail = (error: Error) => {
      settle(() => {
        reject(error);
      });
    };
    const timer = setTimeout(() => {
      fail(deadlineExceeded("the VM's daemon did not answer in time"));
    }, TIMEOUT_MS);
    socket.on("connect", () => socket.write(request));
    socket.on("error", (error) => {
      fail(unavailable("the VM's daemon is away", error));
    });
    socket.on("close", () => {
      fail(unavailable("the VM's daemon ended the connection"));
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) fail(unavailable("the VM's daemon answered without an end"));
      else if (chunk.includes(0x0a))
        settle(() => {
          resolve(Buffer.concat(chunks).toString("utf8"));
        });
    });
  });
}

function toAppError(error: Json): AppError {
  const violations = Array.isArray(error["violations"]) ? error["violations"].filter(isObject) : [];
  return new AppError({
    code: textOf(error["code"]) as ErrorCode,
    reason: errorReasonFromJSON(`ERROR_REASON_${textOf(error["reason"])}`),
    message: textOf(error["message"]),
    violations: violations.map((violation) => ({
      field: textOf(violation["field"]),
      description: textOf(violation["description"]),
    })),
  });
}

function parseObject(line: string): Json {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : {};
  } catch {
    return {}; // Told as an answer that is none.
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
