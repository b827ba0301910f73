import { type DescField, type DescMessage } from "@bufbuild/protobuf";
import { AppError, isAppError } from "../../../lib/errors";
import type { MethodDefinition, RequestOf } from "../../../lib/grpc/definition";
import { fromJson } from "../json/from-json";
import { commentOfRpc, messagesOf } from "../json/messages";
import { inputProperties, type JsonSchema, requestSchema, responseSchema } from "../json/schema";
import type { SchemaSet } from "../json/schema";
import { toJson } from "../json/to-json";
import type { BackendName, Backends } from "../upstream/backends";
import { namesIn, type RestRequest, type Route } from "./route";

type UnaryDefinition = MethodDefinition & { requestStream: false; responseStream: false };

/** A route that is one RPC: its fields and schemas are those of the messages in proto/. */
export interface RpcRow<M extends UnaryDefinition> {
  method: Route["method"];
  /** Names in braces are fields of the request, or of `params`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  rpc: M;
  /** Which of those that serve it; its package says it unless told. */
  backend?: BackendName;
  /** Where two routes are one RPC; else its name. */
  operationId?: string;
  /** 201 for what makes something; 200, or 204 for an empty answer, unless told. */
  status?: 201;
  /** Fields of the request that callers do not give, beside those in the path. */
  hidden?: readonly string[];
  /** Names in the path that are no fields of the request. */
  params?: readonly string[];
  /** What the route itself puts into the request. */
  set?: (request: RestRequest) => Partial<RequestOf<M>>;
  /** Fields of which more can be said than the proto file does. */
  narrow?: Readonly<Record<string, JsonSchema>>;
  required?: readonly string[];
  maxBodyBytes?: number;
  /** Called before the RPC; throws what is then answered. */
  before?: (request: RestRequest) => Promise<void>;
}

/** Of what routes are made. */
export interface RouteKit {
  backends: Backends;
  /** Schemas of messages, filled by the routes that use them. */
  components: SchemaSet;
  readonly rpc: <M extends UnaryDefinition>(row: RpcRow<M>) => Route;
}

const IDEMPOTENCY_KEY = "idempotency-key";
const REQUEST_ID = "request_id";
const PAGE_SIZE = "page_size";
/** As lib/page.ts reads it. */
const PAGE_SIZE_SCHEMA = {
  ...{ type: "integer", minimum: 0, maximum: 1000, default: 100 },
  description: "How many at most; 0 is 100.",
};
const TEXT = { type: "string" };

export function createRouteKit(backends: Backends): RouteKit {
  const components: SchemaSet = new Map();
  return { backends, components, rpc: (row) => toRoute(row, backends, components) };
}

function toRoute<M extends UnaryDefinition>(
  row: RpcRow<M>,
  backends: Backends,
  components: SchemaSet,
): Route {
  const { input, output } = messagesOf(row.rpc);
  const names = namesIn(row.path);
  const isRepeatable = input.fields.some(({ name }) => name === REQUEST_ID);
  const hidden = [...names, ...(row.hidden ?? []), REQUEST_ID];
  const status = row.status ?? (output.fields.length === 0 ? 204 : 200);
  const hasBody = row.method === "PUT" || row.method === "POST";
  const schema = responseSchema(output, components);
  return {
    ...{ method: row.method, path: row.path, tag: row.tag, summary: row.summary },
    operationId: row.operationId ?? operationIdOf(row.rpc),
    description: [row.description, commentOfRpc(row.rpc)]
      .filter(Boolean)
      .join("\n\n")
      .replaceAll(REQUEST_ID, "Idempotency-Key"),
    params: Object.fromEntries(
      names.map((name) => [name, paramSchema(row, input, components, name)]),
    ),
    ...(hasBody
      ? { body: narrowed(row, requestSchema(input, components, hidden)) }
      : { query: queryOf(input, components, hidden) }),
    ...(isRepeatable && { headers: { "Idempotency-Key": IDEMPOTENCY_SCHEMA } }),
    ...(row.maxBodyBytes !== undefined && { maxBodyBytes: row.maxBodyBytes }),
    answers: {
      [status]:
        status === 204
          ? { description: "Done." }
          : { description: status === 201 ? "Made." : "Done.", schema },
    },
    async handle(request) {
      await row.before?.(request);
      const json = { ...request.query, ...request.body, ...ownParams(row, request) };
      const key = isRepeatable ? request.header(IDEMPOTENCY_KEY) : undefined;
      const message = {
        ...fromJson(input, json),
        ...(key !== undefined && { requestId: key }),
        ...row.set?.(request),
      };
      const answer = await renaming(
        backends.call(row.rpc, message as RequestOf<M>, request.on, row.backend),
      );
      return status === 204 ? { status } : { status, body: toJson(output, answer) };
    },
  };
}

const IDEMPOTENCY_SCHEMA = {
  type: "string",
  maxLength: 128,
  description:
    "Chosen at random: the same request with the same key within 10 minutes is done once and answered alike.",
};

function operationIdOf({ path }: MethodDefinition): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function paramSchema<M extends UnaryDefinition>(
  row: RpcRow<M>,
  input: DescMessage,
  components: SchemaSet,
  name: string,
): JsonSchema {
  if (row.params?.includes(name)) return TEXT;
  const field = input.fields.find((it) => it.name === name);
  if (!field) throw new Error(`${row.path}: ${name} is no field of ${input.typeName}`);
  return schemaOf(field, components);
}

function queryOf(
  input: DescMessage,
  components: SchemaSet,
  hidden: readonly string[],
): Record<string, JsonSchema> {
  const fields = input.fields.filter(({ name }) => !hidden.includes(name));
  return Object.fromEntries(fields.map((field) => [field.name, schemaOf(field, components)]));
}

function schemaOf(field: DescField, components: SchemaSet): JsonSchema {
  if (field.name === PAGE_SIZE) return PAGE_SIZE_SCHEMA;
  return inputProperties(field, components)[0]?.[1] ?? TEXT;
}

function narrowed<M extends UnaryDefinition>(row: RpcRow<M>, schema: JsonSchema): JsonSchema {
  const properties = { ...(schema["properties"] as object), ...row.narrow };
  return { ...schema, properties, ...(row.required && { required: row.required }) };
}

function ownParams<M extends UnaryDefinition>(
  row: RpcRow<M>,
  { params }: RestRequest,
): Record<string, unknown> {
  const own = Object.entries(params).filter(([name]) => !row.params?.includes(name));
  return Object.fromEntries(own);
}

/** In REST the request id is a header, and errors name it so. */
async function renaming<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isAppError(error) || !error.violations.some(({ field }) => field === REQUEST_ID))
      throw error;
    const rename = (text: string) => text.replaceAll(REQUEST_ID, "Idempotency-Key");
    throw new AppError({
      ...{ code: error.code, reason: error.reason, message: rename(error.message) },
      metadata: Object.fromEntries(
        Object.entries(error.metadata).map(([name, text]) => [name, rename(text)]),
      ),
      violations: error.violations.map(({ field, description }) => ({
        field: rename(field),
        description: rename(description),
      })),
      cause: error,
    });
  }
}
