import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cachedPart, findTool } from "./tools";

const MODULE = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";
const BUILD_MS = 10 * 60_000;

/** The directory of a real grpcurl: the one on the PATH, else one that Go builds, once. */
export async function downloadGrpcurl(): Promise<string> {
  const installed = (process.env["PATH"] ?? "").split(delimiter).find(holdsGrpcurl);
  return installed ?? cachedPart("grpcurl", build);
}

async function build(directory: string): Promise<void> {
  const go = await findTool("go");
  const env = { ...process.env, GOBIN: directory, GOFLAGS: "-mod=mod" };
  await promisify(execFile)(go, ["install", MODULE], { env, timeout: BUILD_MS });
}

function holdsGrpcurl(directory: string): boolean {
  try {
    accessSync(join(directory, "grpcurl"), constants.X_OK);
    return true;
  } catch {
    return false; // Not in this one.
  }
}
