// Makes dashboard/api/rest-types.d.ts from the OpenAPI document that a gateway serves: for the checks and
// for editors. It is not committed, so that it cannot differ from the routes.
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import { writeFileSync } from "node:fs";
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

writeFileSync(target, await typesOf(await documentOfGateway()));

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
