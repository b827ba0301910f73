import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { LocalError } from "../errors";

export interface SessionOptions {
  /** `host:port`. */
  address: string;
  /** Certificates that vouch for the service; TLS is used only with them. */
  caFile: string | undefined;
  /** Sent with every call. */
  headers: Record<string, string>;
}

/** How often a quiet connection is probed; one that has not answered by the next time is dead. */
const PROBE_MS = 5_000;

/** One HTTP/2 connection, made at the first request and made again after it broke. */
export interface Http2Session {
  /** Starts a call: the headers are on their way, the body is to be ended by the caller. */
  request(path: string, headers: Record<string, string>): ClientHttp2Stream;
  close: () => void;
}

export function createHttp2Session({ address, caFile, headers }: SessionOptions): Http2Session {
  let session: ClientHttp2Session | undefined;
  const open = (): ClientHttp2Session => {
    if (session && !session.closed && !session.destroyed) return session;
    session =
      caFile === undefined
        ? connect(`http://${address}`)
        : connect(`https://${address}`, { ca: readCertificates(caFile) });
    // Each stream tells of it, too.
    session.on("error", () => undefined);
    probe(session);
    return session;
  };
  return {
    request: (path, more) =>
      open().request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
        ...more,
      }),
    close: () => {
      session?.destroy();
    },
  };
}

function readCertificates(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(`cannot read ca_file ${path} (${code})`);
  }
}

function probe(session: ClientHttp2Session): void {
  let isAnswered = true;
  const timer = setInterval(() => {
    if (!isAnswered) session.destroy();
    if (session.destroyed || session.connecting) return;
    isAnswered = false;
    session.ping(() => {
      isAnswered = true;
    });
  }, PROBE_MS);
  timer.unref();
  session.once("close", () => {
    clearInterval(timer);
  });
}
