import { patient } from "./patient";

/** Largest page that the services give. */
const PAGE_SIZE = 1_000;

/** Everything in a paged list, or its first `limit` items, page after page, in its order. */
export async function allPages<Response extends { nextPageToken: string }, Item>(
  fetch: (page: { pageSize: number; pageToken: string }) => Promise<Response>,
  itemsOf: (response: Response) => readonly Item[],
  limit = Infinity,
): Promise<Item[]> {
  const items: Item[] = [];
  const pageSize = Math.min(PAGE_SIZE, limit);
  let pageToken = "";
  do {
    const token = pageToken;
    const response = await patient(() => fetch({ pageSize, pageToken: token }));
    items.push(...itemsOf(response));
    pageToken = response.nextPageToken;
  } while (pageToken !== "" && items.length < limit);
  return items.slice(0, limit);
}
