/** Bundle in dist/ → the source that it starts at. */
export const ENTRY_POINTS = {
  cli: "cli/main.ts",
  catalog: "services/catalog/main.ts",
  rotation: "services/rotation/main.ts",
  gateway: "services/gateway/main.ts",
  "vm-agent": "services/vm-agent/main.ts",
  "issue-token": "services/rotation/identity/issue-token-main.ts",
  migrate: "lib/postgres/migrate-command/main.ts",
  init: "dev/init.ts",
  start: "dev/start.ts",
  demo: "dev/demo.ts",
  bench: "bench/main.ts",
};

/** Bundle → what esbuild does otherwise for it. */
export const BUILD_OPTIONS = {
  // The CLI has a client of its own: grpc-js takes longer to load than a command may take. What is
  // shorter is also read sooner.
  cli: { alias: { "@grpc/grpc-js": "./cli/grpc/instead-of-grpc-js.ts" }, minify: true },
};
