import { REST_ROUTES } from "../../../../lib/rest-routes";
import { editDistance } from "./edit-distance";

interface KnownRoute {
  /** `GET /v1/secrets/{name}`. */
  text: string;
  method: string;
  /** Between slashes; undefined for a name that is filled in. */
  parts: readonly (string | undefined)[];
}

const ROUTES: readonly KnownRoute[] = REST_ROUTES.map((text) => {
  const [method = "", path = ""] = text.split(" ");
  const parts = path.split("/").map((part) => (part.startsWith("{") ? undefined : part));
  return { text, method, parts };
});

/** Whether a scope `METHOD /path` or `METHOD /prefix*` lets any request through. */
export function namesRoute(scope: string): boolean {
  const { method, parts, isPrefix } = readScope(scope);
  // What is answered to GET is answered to HEAD.
  const served = method === "HEAD" ? "GET" : method;
  return ROUTES.some((route) => route.method === served && isMatch(route, parts, isPrefix));
}

/** The route that somebody who wrote the scope will have meant; undefined when none is much like it. */
export function nearestRoute(scope: string): string | undefined {
  const { method, parts, isPrefix } = readScope(scope);
  // `/secrets` for `/v1/secrets`.
  const meant = parts[1] === "v1" ? parts : ["", "v1", ...parts.slice(1)];
  let best: { text: string; path: number; method: number } | undefined;
  for (const route of ROUTES) {
    const shown = isPrefix ? route.parts.slice(0, meant.length) : route.parts;
    const far = {
      path: Math.min(distanceOf(shown, parts), distanceOf(shown, meant)),
      method: editDistance(method, route.method),
    };
    // One of the same path by another method is meant before another path.
    const isNearer =
      !best || far.path < best.path || (far.path === best.path && far.method < best.method);
    if (isNearer) best = { text: route.text, ...far };
  }
  return best && best.path <= parts.join("/").length / 3 ? best.text : undefined;
}

function readScope(scope: string): { method: string; parts: string[]; isPrefix: boolean } {
  const [method = "", path = ""] = scope.split(" ");
  const isPrefix = path.endsWith("*");
  return { method, isPrefix, parts: (isPrefix ? path.slice(0, -1) : path).split("/") };
}

/** What a prefix ends with may be the beginning of a part. */
function isMatch({ parts }: KnownRoute, scope: readonly string[], isPrefix: boolean): boolean {
  if (isPrefix ? scope.length > parts.length : scope.length !== parts.length) return false;
  return scope.every((part, at) => {
    const own = parts[at];
    if (isPrefix && at === scope.length - 1) return own?.startsWith(part) ?? true;
    return own === undefined ? part !== "" : own === part;
  });
}

function distanceOf(parts: KnownRoute["parts"], scope: readonly string[]): number {
  let distance = 0;
  for (let at = 0; at < Math.max(parts.length, scope.length); at++) {
    const [own, given] = [parts[at], scope[at]];
    if (at >= parts.length) distance += (given ?? "").length + 1;
    else if (given === undefined) distance += (own ?? "name").length + 1;
    else if (own !== undefined) distance += editDistance(given.toLowerCase(), own);
  }
  return distance;
}
