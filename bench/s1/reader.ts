import { readFileSync, readlinkSync, watch } from "node:fs";
import { createConnection } from "node:net";
import { nowUs } from "./now-us";
import { roundOf } from "./set-of-round";
import type { Sighting } from "./observer";

/**
 * Stands for an agent that reads its credentials from its env file: waits for the rename of
 * `..data`, reads, and tells the observer what it read and when. The same program reads what the
 * product writes and what the yardstick writes.
 */
export async function read([socketPath = "", name = ""]: readonly string[]): Promise<void> {
  const directory = process.env["MURMUR_DIR"] ?? "";
  const label = name || (process.env["MURMUR_AGENT"] ?? "");
  const observer = createConnection(socketPath);
  observer.on("error", () => process.exit(0));
  observer.on("close", () => process.exit(0));
  let known = Number.NaN;
  const look = () => {
    const round = roundOf(readEnv(directory));
    const atUs = nowUs();
    if (round === known || Number.isNaN(round)) return;
    known = round;
    observer.write(`${JSON.stringify({ label, round, atUs } satisfies Sighting)}\n`);
  };
  watch(directory, (_event, file) => {
    if (file === "..data") look();
  });
  look();
  await new Promise(() => undefined);
}

/** Resolves `..data` once and reads beneath, as the documents tell readers to. */
function readEnv(directory: string): string {
  try {
    const generation = readlinkSync(`${directory}/..data`);
    return readFileSync(`${directory}/${generation}/env`, "utf8");
  } catch {
    return ""; // Not there yet.
  }
}
