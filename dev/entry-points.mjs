/** Bundle in dist/ → the source that it starts at. */
export const ENTRY_POINTS = {
  cli: "cli/main.ts",
  catalog: "services/catalog/main.ts",
  rotation: "services/rotation/main.ts",
  "vm-agent": "services/vm-agent/main.ts",
  migrate: "lib/postgres/migrate-main.ts",
  start: "dev/start.ts",
  demo: "dev/demo.ts",
  bench: "bench/main.ts",
};
