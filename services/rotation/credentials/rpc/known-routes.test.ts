import { namesRoute, nearestRoute } from "./known-routes";

it.each([
  "GET /v1/secrets",
  "GET /v1/secrets*",
  "GET /v1/sec*",
  "GET /v1/secrets/NPM_TOKEN",
  "GET /v1/secrets/NPM*",
  "GET /*",
  "HEAD /v1/secrets",
  "DELETE /v1/secrets/*",
  "POST /v1/keys/0f5f39e4-4f4b-4b70-9a4c-7a2d6f0c5d1e/rotate",
  "POST /v1/keys/*",
  "GET /v1/workspaces/backend/agents/parent%2Fchild",
])("%s names a route", (scope) => {
  expect(namesRoute(scope)).toBe(true);
});

it.each([
  ["GET /v1/secret", "GET /v1/secrets"],
  ["GET /v1/Secrets*", "GET /v1/secrets"],
  ["GET /secrets*", "GET /v1/secrets"],
  ["GET /v1/secrets/", "GET /v1/secrets/{name}"],
  ["GET /v1/secret/NPM_TOKEN", "GET /v1/secrets/{name}"],
  ["PATCH /v1/people/github/bob", "PUT /v1/people/{provider}/{username}"],
  ["POST /v1/secrets/NPM_TOKEN", "PUT /v1/secrets/{name}"],
  ["POST /v1/keys/ID/rotat", "POST /v1/keys/{credential_id}/rotate"],
  ["POST /v1/keys/ID/rotate/x*", "POST /v1/keys/{credential_id}/rotate"],
  ["GET /openapi", undefined],
  ["GET /", undefined],
])("%s names none; the nearest is %s", (scope, nearest) => {
  expect(namesRoute(scope)).toBe(false);
  expect(nearestRoute(scope)).toBe(nearest);
});
