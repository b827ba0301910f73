import type { JsonSchema, SchemaSet } from "../json/schema";
import type { DocumentedAnswer, Route } from "../routes/route";

const ERROR = {
  description:
    "What went wrong: `code` is the gRPC name of it, `details.reason` one of docs/errors.md, `details.fields` every wrong field.",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
};
const RETRY_AFTER = { description: "Seconds.", schema: { type: "integer" } };

const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        details: {
          type: "object",
          required: ["reason"],
          properties: {
            reason: { type: "string" },
            metadata: { type: "object", additionalProperties: { type: "string" } },
            fields: {
              type: "array",
              items: {
                type: "object",
                required: ["field", "description"],
                properties: { field: { type: "string" }, description: { type: "string" } },
              },
            },
          },
        },
      },
    },
  },
};

/** The OpenAPI 3.1 document of routes: made of what they are served and checked by. */
export function openApiDocument(routes: readonly Route[], components: SchemaSet): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes)
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  return {
    openapi: "3.1.0",
    info: {
      title: "Murmur",
      version: "1",
      description:
        "Rotates credentials under running agents. Every call carries an identity token or an API key as bearer, or from a page of the gateway's own a session in its cookie.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }, { session: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        session: {
          ...{ type: "apiKey", in: "cookie", name: "__Host-murmur-session" },
          description:
            "Of `POST /v1/session`; on localhost without TLS its name is `murmur-session`. Changes need the header `X-Murmur-Dashboard: 1` and a page of the same origin.",
        },
      },
      schemas: { Error: ERROR_SCHEMA, ...Object.fromEntries([...components].sort()) },
    },
  };
}

function operationOf(route: Route): Record<string, unknown> {
  const { operationId, tag, summary, description, body } = route;
  const parameters = [
    ...parametersIn("path", route.params, true),
    ...parametersIn("query", route.query ?? {}, false),
    ...parametersIn("header", route.headers ?? {}, false),
  ];
  return {
    ...{ operationId, tags: [tag], summary },
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: ((body["required"] ?? []) as unknown[]).length > 0,
        content: { "application/json": { schema: body } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, answer]) => [status, answerOf(answer)]),
      ),
      "4XX": ERROR,
      "5XX": { ...ERROR, headers: { "Retry-After": RETRY_AFTER } },
    },
  };
}

function parametersIn(
  where: "path" | "query" | "header",
  schemas: Readonly<Record<string, JsonSchema>>,
  required: boolean,
): Record<string, unknown>[] {
  return Object.entries(schemas).map(([name, schema]) => ({ name, in: where, required, schema }));
}

function answerOf({ description, schema, mediaType = "application/json" }: DocumentedAnswer) {
  return { description, ...(schema && { content: { [mediaType]: { schema } } }) };
}
