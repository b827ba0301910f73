import { invalid } from "./errors";

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1000;

/** Which rows a page wants: at most `limit`, beyond the key `after` of the page before. */
export interface PageQuery {
  limit: number;
  after: string | undefined;
}

/** One page: its rows, and the token of the next (empty on the last page). */
export interface Page<T> {
  items: T[];
  nextPageToken: string;
}

/**
 * Reads `page_size` (0 means 100, at most 1000) and `page_token`. `list` names what is listed, so
 * that a token of one list is refused by another. Throws INVALID_ARGUMENT naming the field.
 */
export function readPage(
  list: string,
  request: { pageSize: number; pageToken: string },
): PageQuery {
  const { pageSize, pageToken } = request;
  if (pageSize < 0 || pageSize > MAX_SIZE)
    throw invalid("page_size", `page_size must be from 1 to ${MAX_SIZE}, or 0 for the default`);
  return {
    limit: pageSize === 0 ? DEFAULT_SIZE : pageSize,
    after: pageToken === "" ? undefined : readToken(list, pageToken),
  };
}

/** Makes a page of rows that were read with `limit + 1`: the surplus row tells that more follow. */
export function toPage<T>(
  list: string,
  rows: readonly T[],
  query: PageQuery,
  keyOf: (row: T) => string,
): Page<T> {
  const items = rows.slice(0, query.limit);
  const last = items.at(-1);
  const hasMore = rows.length > query.limit && last !== undefined;
  return { items, nextPageToken: hasMore ? toPageToken(list, keyOf(last)) : "" };
}

/** For keys that are more than a text: what to throw when a token's key does not parse. */
export function garbledPageToken() {
  return invalid("page_token", "page_token is not one that this list gave");
}

/** The token of the page behind a key, for lists whose pages need not end with a row of theirs. */
export function toPageToken(list: string, key: string): string {
  return Buffer.from(JSON.stringify([list, key])).toString("base64url");
}

function readToken(list: string, token: string): string {
  const [tokenList, key] = parse(token);
  // PostgreSQL has no text with a NUL in it, so no key has one.
  if (tokenList !== list || typeof key !== "string" || key.includes("\0")) throw garbledPageToken();
  return key;
}

function parse(token: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    return Array.isArray(value) ? value : [];
  } catch {
    return []; // Not a token of ours: refused by the caller.
  }
}
