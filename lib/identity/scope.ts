const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/** A path whose last character may be a `*`: all that begins so. */
const PATH = /^\/[!-)+->@-~]*\*?$/;
const RPC = /^[a-z][a-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+\/[A-Za-z][A-Za-z0-9_]*$/;
const MAX_BYTES = 256;

/** Whether a text is a scope: `METHOD /path/prefix*`, or `package.Service/Method`. */
export function isScope(text: string): boolean {
  if (text.length > MAX_BYTES) return false;
  const [method = "", path, ...more] = text.split(" ");
  if (path === undefined) return RPC.test(text);
  return more.length === 0 && METHODS.includes(method) && PATH.test(path);
}

/** What a credential is used for. */
export type Use =
  | { kind: "rest"; method: string; path: string }
  /** As gRPC names it, `/package.Service/Method`. */
  | { kind: "rpc"; path: string };

/** Whether scopes allow a use; none at all allow everything. */
export function isInScope(scopes: readonly string[], use: Use): boolean {
  return scopes.length === 0 || scopes.some((scope) => covers(scope, use));
}

function covers(scope: string, use: Use): boolean {
  if (use.kind === "rpc") return `/${scope}` === use.path;
  const [method, path = ""] = scope.split(" ");
  if (method !== use.method) return false;
  return path.endsWith("*") ? use.path.startsWith(path.slice(0, -1)) : use.path === path;
}

/** Whether what `wanted` allows is allowed by `own`, too. None at all is everything. */
export function areWithin(own: readonly string[], wanted: readonly string[]): boolean {
  if (own.length === 0) return true;
  return wanted.length > 0 && wanted.every((scope) => own.some((it) => includes(it, scope)));
}

function includes(own: string, wanted: string): boolean {
  if (own === wanted) return true;
  const [method, path] = own.split(" ");
  const [wantedMethod, wantedPath] = wanted.split(" ");
  if (path === undefined || wantedPath === undefined || method !== wantedMethod) return false;
  return path.endsWith("*") && wantedPath.startsWith(path.slice(0, -1));
}
