import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { fromServiceError } from "../../lib/grpc/status";
import type { AppError } from "../../lib/errors";

export interface RawCall {
  path: string;
  kind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  /** Of one message, which need not be one. */
  request: Buffer;
  metadata?: Record<string, string>;
  timeoutMs?: number;
}

/** Calls with bytes, whatever they are. */
export interface RawCaller {
  /** The error of the call; undefined when it was answered, or a stream began to answer. */
  call(call: RawCall): Promise<AppError | undefined>;
  close(): void;
}

const same = (bytes: Buffer) => bytes;
const LARGEST = 64 * 1024 * 1024;

/** Opens a connection without credentials of its own. */
export function openRawCaller(address: string): RawCaller {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
    "grpc.max_send_message_length": LARGEST,
  });
  return {
    call: ({ path, kind, request, metadata = {}, timeoutMs = 10_000 }) =>
      new Promise((resolve) => {
        const fields = new Metadata();
        for (const [key, value] of Object.entries(metadata)) fields.set(key, value);
        const options = { deadline: Date.now() + timeoutMs };
        if (kind === "unary") {
          client.makeUnaryRequest(path, same, same, request, fields, options, (error) => {
            resolve(error ? fromServiceError(error) : undefined);
          });
          return;
        }
        const stream = client.makeBidiStreamRequest(path, same, same, fields, options);
        stream.on("error", (error: ServiceError) => resolve(fromServiceError(error)));
        stream.on("data", () => {
          stream.cancel();
          resolve(undefined);
        });
        stream.on("end", () => resolve(undefined));
        stream.write(request);
        stream.end();
      }),
    close: () => {
      client.close();
    },
  };
}
