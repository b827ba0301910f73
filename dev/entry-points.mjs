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

/** Bundle → modules that it gets in place of a package. */
export const ALIASES = {
  // The CLI has a client of its own: grpc-js takes longer to load than a command may take.
  cli: { "@grpc/grpc-js": "./cli/grpc/instead-of-grpc-js.ts" },
};
