/** Everything in pages, one of which is in memory at a time. */
export async function* eachOf<T, Next>(
  fetch: (next: Next | undefined) => Promise<{ items: readonly T[]; next: Next | undefined }>,
): AsyncGenerator<T, undefined> {
  let next: Next | undefined;
  do {
    const page = await fetch(next);
    yield* page.items;
    next = page.next;
  } while (next !== undefined);
  return undefined;
}
