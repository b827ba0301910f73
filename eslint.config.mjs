import eslint from "@eslint/js";
import importX from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** Third-party doors: which folders may import which package (docs/decisions/0001-one-package.md). */
const DOORS = [
  { name: "pg", message: "pg is imported by lib/postgres and postgres-*.ts only" },
  { name: "kafkajs", message: "kafkajs is imported by lib/kafka only" },
  {
    name: "@grpc/grpc-js",
    message: "grpc-js is imported by lib/grpc, rpc folders and composition roots only",
  },
  { name: "@grpc/reflection", message: "imported by lib/grpc only" },
  { name: "grpc-health-check", message: "imported by lib/grpc only" },
  { name: "node-vault", message: "node-vault is imported by services/catalog/keys only" },
  { name: "koffi", message: "koffi is imported by services/vm-agent/linux only" },
  { name: "jose", message: "jose is imported by lib/identity only" },
  ...["fastify", "@fastify/rate-limit", "ajv", "ajv-formats"].map((name) => ({
    ...{ name, message: `${name} is imported by services/gateway only` },
  })),
  { name: "openid-client", message: "openid-client is imported by cli/sign-in only" },
  { name: "@opentelemetry/sdk-node", message: "the SDK is imported by lib/telemetry only" },
  { name: "child_process", message: "use node:child_process" },
];
const PROCESS_DOORS = [
  {
    name: "node:child_process",
    message:
      "processes are started in vm-agent/processes, live-env/self-test, reload, dev and tests only",
  },
];

const restrict = (...open) => [
  "error",
  { paths: [...DOORS, ...PROCESS_DOORS].filter(({ name }) => !open.includes(name)) },
];

const NO_ENV = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: "process.env is read in main.ts only; take the values as arguments",
};
const NO_EXPOSE = {
  selector: "CallExpression[callee.property.name='expose']",
  message: "expose() is for the files listed in eslint.config.mjs only",
};

/** The few files that may open a Sensitive value. */
const MAY_EXPOSE = [
  "lib/sensitive.test.ts",
  "lib/config.ts",
  "lib/identity/**",
  "lib/postgres/pool.ts",
  "services/catalog/domain/{envelope,secret,secret-value,environment,delivery-session}.ts",
  "services/catalog/{keys,encryption}/**",
  "services/*/rpc/**",
  "services/rotation/**/rpc/**",
  "verifier/{credential-verifier,developer-admission}.ts",
  "services/gateway/upstream/backends.ts",
  "services/gateway/routes/self-rotation.ts",
  "services/rotation/sign-in/exchange-token.ts",
  "services/rotation/credentials/{issue-credential,repeatable,sealed-answer,verify-credentials}.ts",
  "services/rotation/bindings/domain/agent-hash.ts",
  "services/rotation/catalog/catalog-client.ts",
  "services/rotation/self-rotation/{make-pair,register-agent,rotate-self}.ts",
  "services/*/identity/**",
  "services/vm-agent/env-set/**",
  "services/vm-agent/reload/redact.ts",
  "services/vm-agent/delivery/**",
  "services/vm-agent/identity/**",
  "services/vm-agent/upstream/**",
  "cli/**",
  "dev/**",
  "bench/**",
  "test/**",
  "**/*.test.ts",
];

const SERVICES = ["catalog", "rotation", "vm-agent", "gateway"];
const zones = [
  {
    target: "./lib",
    from: ["./services", "./verifier", "./cli", "./dev", "./test", "./bench", "./dashboard"],
  },
  { target: "./verifier", from: ["./services", "./cli", "./dev", "./test", "./bench"] },
  { target: "./lib", from: "./gen", except: ["./google", "./murmur/errors", "./murmur/audit"] },
  { target: "./cli", from: ["./services", "./dev", "./test", "./bench"] },
  ...SERVICES.flatMap((service) => [
    {
      target: `./services/${service}`,
      from: SERVICES.filter((other) => other !== service).map((other) => `./services/${other}`),
    },
    { target: `./services/${service}`, from: ["./cli", "./dev", "./test", "./bench"] },
    { target: `./services/${service}/domain`, from: "./gen" },
  ]),
  { target: "./services/rotation/protocol", from: ["./gen", "./lib"] },
  // It knows the product by its REST interface alone.
  {
    target: "./dashboard",
    from: ["./gen", "./lib", "./verifier", "./services", "./cli", "./dev", "./test", "./bench"],
  },
];

export default tseslint.config(
  {
    ignores: [
      "gen/",
      "dist/",
      "node_modules/",
      "dashboard/api/rest-types.d.ts",
      ".murmur-data/",
      ".test-parts/",
      "**/*.{js,cjs,mjs}",
    ],
  },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { "import-x": importX },
    settings: {
      "import-x/resolver-next": [
        importX.createNodeResolver({ extensions: [".ts", ".tsx", ".js"] }),
      ],
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
      ],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "import-x/no-restricted-paths": ["error", { zones }],
      "import-x/no-cycle": "off",
      "import-x/no-default-export": "error",
      "no-restricted-imports": restrict(),
      "no-restricted-syntax": ["error", NO_ENV, NO_EXPOSE],
      "max-lines": ["error", { max: 400 }],
      "max-lines-per-function": ["error", { max: 100 }],
      "max-params": ["error", { max: 4 }],
    },
  },
  {
    files: ["lib/postgres/**", "**/postgres-*.ts"],
    rules: { "no-restricted-imports": restrict("pg") },
  },
  { files: ["lib/kafka/**"], rules: { "no-restricted-imports": restrict("kafkajs") } },
  {
    files: ["lib/grpc/**"],
    rules: {
      "no-restricted-imports": restrict("@grpc/grpc-js", "@grpc/reflection", "grpc-health-check"),
    },
  },
  {
    files: [
      "services/**/rpc/**",
      "services/{catalog,rotation,vm-agent}/{catalog,rotation,vm-agent}.ts",
      "services/vm-agent/wake-ups/**",
      "services/vm-agent/upstream/**",
      "services/rotation/announce/**",
      "cli/**",
    ],
    rules: { "no-restricted-imports": restrict("@grpc/grpc-js") },
  },
  { files: ["cli/sign-in/**"], rules: { "no-restricted-imports": restrict("openid-client") } },
  { files: ["lib/identity/**"], rules: { "no-restricted-imports": restrict("jose") } },
  {
    files: ["services/catalog/keys/**"],
    rules: { "no-restricted-imports": restrict("node-vault") },
  },
  {
    files: ["services/gateway/**"],
    rules: {
      "no-restricted-imports": restrict("fastify", "@fastify/rate-limit", "ajv", "ajv-formats"),
    },
  },
  { files: ["services/vm-agent/linux/**"], rules: { "no-restricted-imports": restrict("koffi") } },
  {
    files: [
      "services/vm-agent/processes/**",
      "services/vm-agent/live-env/{self-test,*/*-program}.ts",
      "services/vm-agent/reload/**",
    ],
    rules: { "no-restricted-imports": restrict("node:child_process") },
  },
  {
    // The SDK takes its exporter from the environment.
    files: ["lib/telemetry.ts"],
    rules: {
      "no-restricted-imports": restrict("@opentelemetry/sdk-node"),
      "no-restricted-syntax": ["error", NO_EXPOSE],
    },
  },
  { files: MAY_EXPOSE, rules: { "no-restricted-syntax": ["error", NO_ENV] } },
  {
    files: ["**/main.ts", "cli/**"],
    rules: { "no-restricted-syntax": ["error", NO_EXPOSE] },
  },
  { files: ["cli/**"], rules: { "no-restricted-syntax": "off" } },
  {
    files: ["test/**", "**/*.test.ts", "dev/**", "bench/**"],
    rules: {
      "no-restricted-imports": "off",
      "no-restricted-syntax": "off",
      "max-lines-per-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      // Tests of every folder use the harness.
      "import-x/no-restricted-paths": "off",
    },
  },
);
