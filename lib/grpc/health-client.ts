import { type Channel, createClient } from "./client";
import type { MethodDefinition } from "./definition";

/** `HealthCheckResponse{status: SERVING}`. */
const SERVING = Buffer.from([0x08, 0x01]);

const CHECK = {
  path: "/grpc.health.v1.Health/Check",
  requestStream: false,
  responseStream: false,
  requestSerialize: () => Buffer.alloc(0),
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const satisfies MethodDefinition;

/** Whether the process behind a channel says on the standard health service that it serves. */
export async function checkHealth(channel: Channel, timeoutMs: number): Promise<boolean> {
  try {
    const answer = await createClient({ check: CHECK }, channel).check(Buffer.alloc(0), {
      timeoutMs,
    });
    return answer.equals(SERVING);
  } catch {
    return false;
  }
}
