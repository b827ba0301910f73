// Makes dashboard/api/rest-types.d.ts from the OpenAPI document that a gateway serves. With --check it
// only says whether the committed one is what the routes make.
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "dashboard/api/rest-types.d.ts");

// Nothing is asked of anybody: the routes are only listed.
const PRINTER = `
  import { openApiDocument } from "./services/gateway/openapi/document";
  import { allRoutes } from "./services/gateway/routes/routes";
  import { createRouteKit } from "./services/gateway/routes/rpc-route";
  const kit = createRouteKit({});
  export const document = openApiDocument(allRoutes(kit), kit.components);
`;

const types = await typesOf(await documentOfGateway());
if (!process.argv.includes("--check")) writeFileSync(target, types);
else if (!existsSync(target) || readFileSync(target, "utf8") !== types) {
  process.stderr.write(
    "dashboard/api/rest-types.d.ts is not what the routes make: run npm run rest\n",
  );
  process.exitCode = 1;
}

async function documentOfGateway() {
  const { outputFiles } = await build({
    stdin: { contents: PRINTER, resolveDir: root, loader: "ts" },
    absWorkingDir: root,
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    external: ["koffi", "@opentelemetry/sdk-node", "grpc-health-check", "@grpc/reflection"],
    logLevel: "warning",
  });
  const module = { exports: {} };
  new Function("module", "exports", "require", outputFiles[0].text)(
    module,
    module.exports,
    createRequire(join(root, "dev/")),
  );
  return module.exports.document;
}

/** Without its comments, which are the document's. */
async function typesOf(document) {
  const text = astToString(await openapiTS(document, { alphabetize: true }));
  const bare = text.replace(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, "");
  return `// Made by dev/generate-rest-types.mjs from the gateway's routes.\n${bare}`;
}
