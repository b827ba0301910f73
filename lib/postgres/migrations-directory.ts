import { existsSync } from "node:fs";
import { join } from "node:path";

/** Where a service's migrations lie: beside the bundle, else in the source tree. */
export function migrationsDirectory(service: string): string {
  const bundled = join(__dirname, "migrations", service);
  return existsSync(bundled) ? bundled : join(__dirname, "../../services", service, "migrations");
}
