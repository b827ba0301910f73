/** One page of a list. */
export interface Page<T> {
  items: readonly T[];
  nextPageToken: string;
}

/** More are not shown in one list; whoever has more searches. */
const MAX_ITEMS = 20_000;
export const PAGE_SIZE = 1_000;

/** All of a list, page after page. */
export async function allPages<T>(read: (pageToken: string) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  let token = "";
  do {
    const { items, nextPageToken } = await read(token);
    all.push(...items);
    token = nextPageToken;
  } while (token !== "" && all.length < MAX_ITEMS);
  return all;
}
