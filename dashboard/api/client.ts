import createClient from "openapi-fetch";
import type { components, paths } from "./rest-types";

/** What the gateway says when it refuses, or that it could not be reached at all. */
export class ApiError extends Error {
  constructor(
    /** 0: nobody answered. */
    readonly status: number,
    message: string,
    readonly details?: components["schemas"]["Error"]["error"]["details"],
    /** Beside `error` in the body, such as `conflict_agent_id`. */
    readonly body: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  /** What is wrong with a field of the request, to be shown beside it. */
  ofField(field: string): string | undefined {
    return this.details?.fields?.find((wrong) => wrong.field === field)?.description;
  }
}

/**
 * The public REST interface of the gateway that served this page. Other sites can send no such header
 * without being asked for leave, which nobody gives them.
 */
export const api = createClient<paths>({
  headers: { "x-murmur-dashboard": "1" },
  credentials: "same-origin",
});

let tellSignedOut = (): void => undefined;

/** Calls `listener` when a call was refused because nobody is signed in any more. */
export function whenSignedOut(listener: () => void): void {
  tellSignedOut = listener;
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What a call answers. Rejects with an ApiError. */
export async function answerOf<T>(call: Promise<Answered<T>>): Promise<NonNullable<T>> {
  const { data, error, response } = await call.catch((problem: unknown) => {
    if (isAbort(problem)) throw problem;
    throw new ApiError(0, "Murmur cannot be reached.");
  });
  if (response.ok) return data as NonNullable<T>;
  if (response.status === 401) tellSignedOut();
  throw toApiError(response.status, error);
}

export function isAbort(problem: unknown): boolean {
  return problem instanceof DOMException && problem.name === "AbortError";
}

/** For calls that make something: a repetition of the same call is answered alike. */
export function idempotencyKey(): { "Idempotency-Key": string } {
  return { "Idempotency-Key": crypto.randomUUID() };
}

export function toApiError(status: number, body: unknown): ApiError {
  const fields = typeof body === "object" && body !== null ? body : {};
  const { error, ...rest } = fields as Partial<components["schemas"]["Error"]>;
  return new ApiError(status, error?.message ?? `HTTP ${status}`, error?.details, rest);
}
