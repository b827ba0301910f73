import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  DirectoryInUse,
  type DirectoryLock,
  lockDirectory,
} from "../../services/vm-agent/linux/directory-lock";
import { loadSystemCalls } from "../../services/vm-agent/linux/system-calls";
import { UsageError } from "./options";

const LOCK = "lock";

/**
 * Makes this process the only stack of a data directory, before anything in it is touched. The
 * lock is the kernel's and ends with the process, however that ends. Throws UsageError.
 */
export async function holdDataDirectory(dataDir: string): Promise<DirectoryLock> {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  try {
    return lockDirectory(await loadSystemCalls(), dataDir);
  } catch (error) {
    if (!(error instanceof DirectoryInUse)) throw error;
    throw new UsageError(`a stack (pid ${error.holderPid}) runs on ${dataDir} already`);
  }
}

/** Removes everything but the lock, which is held. */
export function emptyDataDirectory(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name !== LOCK) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

/** Throws UsageError when somebody else listens there: a token must not be sent to them. */
export async function requireFreePort(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once("error", () => {
      reject(new UsageError(`port ${port} is in use: choose others with --ports N`));
    });
    server.listen(port, "127.0.0.1", () =>
      server.close(() => {
        resolve();
      }),
    );
  });
}
