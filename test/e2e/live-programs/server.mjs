// An HTTP server with workers: GET / answers what the main thread and each worker read.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { fileURLToPath } from "node:url";

const notes = process.env.NOTES;

if (isMainThread) {
  const workers = [1, 2].map(() => new Worker(fileURLToPath(import.meta.url)));
  const ask = (worker) =>
    new Promise((resolve) => {
      worker.once("message", resolve);
      worker.postMessage("token?");
    });
  const server = createServer((_request, response) => {
    Promise.all(workers.map(ask)).then((answers) => {
      response.end(JSON.stringify([process.env.DEMO_TOKEN, ...answers]));
    });
  });
  server.listen(0, "127.0.0.1", () => {
    writeFileSync(`${notes}/server.port`, String(server.address().port));
    writeFileSync(`${notes}/server.pid`, String(process.pid));
  });
} else {
  parentPort.on("message", () => parentPort.postMessage(process.env.DEMO_TOKEN));
}
