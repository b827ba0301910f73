// prettier-ignore
const GLOBALS = [
  "Array", "BigInt", "Buffer", "Date", "Error", "JSON", "Map", "Math", "Number", "Object", "Promise",
  "Set", "String", "Symbol", "Uint8Array",
];

/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/", "/.murmur-data/"],
  modulePathIgnorePatterns: [
    "<rootDir>/dist/",
    "<rootDir>/.murmur-data/",
    "<rootDir>/.test-parts/",
  ],
  transform: { "^.+\\.[jt]s$": ["@swc/jest", { jsc: { target: "es2022" } }] },
  // ES modules only; Jest cannot require them uncompiled.
  transformIgnorePatterns: [
    "/node_modules/(?!(jose|@hpke|(@fastify/static/node_modules/)?content-disposition)/)",
  ],
  // Arguments of every module: looked up in the global object of a test's context they take a third
  // of the time of whatever computes. A module that declares one of them by const fails to parse.
  sandboxInjectedGlobals: GLOBALS,
  globalSetup: "<rootDir>/test/harness/global-setup.ts",
  globalTeardown: "<rootDir>/test/harness/global-teardown.ts",
  testSequencer: "<rootDir>/test/harness/stacks-first-sequencer.js",
  reporters: ["default", "<rootDir>/test/harness/closing-line-reporter.js"],
  // For the hooks that start the parts, on a machine with much else to do.
  testTimeout: 120_000,
  // Tests on real parts wait more than they compute: two would leave a third of two cores idle.
  maxWorkers: 3,
};
