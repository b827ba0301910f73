import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";

/** A git server over HTTP on the loopback that lets in whoever has the token of the moment. */
export interface GitServer {
  /** `127.0.0.1:port`. */
  host: string;
  /** What is accepted now. */
  login: { username: string; password: string };
  stop(): Promise<void>;
}

/** Serves the repositories below `root`; `stop` it in `afterAll`. */
export async function startGitServer(root: string, login: GitServer["login"]): Promise<GitServer> {
  const server = createServer((request, response) => {
    const { username, password } = git.login;
    const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    if (request.headers.authorization === wanted) runBackend(root, request, response);
    else response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const git: GitServer = {
    host: `127.0.0.1:${port}`,
    login,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return git;
}

/** As a web server runs it: git-http-backend(1). */
function runBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      ...{ GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: "1", REMOTE_USER: "bot" },
      ...{ PATH_INFO: pathname, QUERY_STRING: searchParams.toString() },
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  backend.stdin.on("error", () => undefined);
  request.pipe(backend.stdin);
  const chunks: Buffer[] = [];
  backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  backend.on("close", () => {
    const whole = Buffer.concat(chunks);
    const end = whole.indexOf("\r\n\r\n");
    const headers = whole.toString("latin1", 0, end).split("\r\n");
    const pairs = headers.map((line) => line.split(": ") as [string, string]);
    const status = pairs.find(([name]) => name === "Status")?.[1] ?? "200";
    for (const [name, value] of pairs) if (name !== "Status") response.setHeader(name, value);
    response.writeHead(Number.parseInt(status, 10)).end(whole.subarray(end + 4));
  });
}
