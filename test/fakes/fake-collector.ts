import { createServer, type Server } from "node:http";
import { BinaryReader } from "@bufbuild/protobuf/wire";

/** A span as OTLP carries it (opentelemetry/proto/trace/v1/trace.proto). */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
}

/** A collector that takes OTLP over HTTP and remembers spans and names of metrics. */
export class FakeCollector {
  readonly spans: ReceivedSpan[] = [];
  /** Every body as it came, for those who look for what must not be in it. */
  readonly bodies: Buffer[] = [];
  #server: Server | undefined;

  /** Returns the endpoint. */
  async start(): Promise<string> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        this.bodies.push(body);
        if (request.url === "/v1/traces") this.spans.push(...readSpans(body));
        response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
}

function readSpans(body: Buffer): ReceivedSpan[] {
  const resources = fields(body, 1);
  const scopes = resources.flatMap((resource) => fields(resource, 2));
  return scopes.flatMap((scope) => fields(scope, 2)).map(readSpan);
}

function readSpan(span: Uint8Array): ReceivedSpan {
  const hex = (field: number) => Buffer.from(fields(span, field)[0] ?? []).toString("hex");
  const name = Buffer.from(fields(span, 5)[0] ?? []).toString("utf8");
  return { traceId: hex(1), spanId: hex(2), parentId: hex(4), name };
}

/** The values of one length-delimited field. */
function fields(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === wanted) found.push(reader.bytes());
    else reader.skip(wireType);
  }
  return found;
}
