import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { REST_ROUTES } from "../../../lib/rest-routes";
import type { Backends } from "../upstream/backends";
import { allRoutes } from "./routes";
import { createRouteKit } from "./rpc-route";

/** Rotation refuses scopes that name no route: it knows them from there. */
const FILE = join(__dirname, "../../../lib/rest-routes.ts");
const PRETTIER = join(__dirname, "../../../node_modules/prettier/bin/prettier.cjs");

it("lib/rest-routes.ts has the routes of the gateway; UPDATE_ROUTES=1 writes it anew", () => {
  const routes = allRoutes(createRouteKit({} as Backends))
    .map(({ method, path }) => `${method} ${path}`)
    .sort();
  if (process.env["UPDATE_ROUTES"]) {
    const list = JSON.stringify(routes, undefined, 2);
    const comment =
      "/** The gateway's routes, which scopes can name; a test of the gateway holds them against it. */";
    writeFileSync(FILE, `${comment}\nexport const REST_ROUTES: readonly string[] = ${list};\n`);
    execFileSync(process.execPath, [PRETTIER, "--write", FILE]);
    return;
  }
  expect(REST_ROUTES).toEqual(routes);
});
