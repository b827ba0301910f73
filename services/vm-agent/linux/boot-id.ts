import { readFileSync } from "node:fs";

/** A random id that the kernel makes at each boot: another one means that every process is new. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
