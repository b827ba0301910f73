import { types } from "node:util";
import { isAppError, unavailable } from "../errors";

/** What repeating cannot mend (Kafka protocol, error codes). */
const HOPELESS = new Set(["MESSAGE_TOO_LARGE", "INVALID_TOPIC_EXCEPTION", "INVALID_RECORD"]);

/** UNAVAILABLE for everything but a request that is wrong in itself. */
export function toKafkaError(error: unknown): unknown {
  if (isAppError(error)) return error;
  if (types.isNativeError(error) && "type" in error && HOPELESS.has(String(error.type))) {
    return error;
  }
  return unavailable("Kafka is away", error);
}
