/** Joins lists that are each in order, newest first, into one; no more than one page of each is held. */
export async function* newestFirst<T>(
  lists: readonly AsyncIterable<T>[],
  timeOf: (item: T) => string,
): AsyncGenerator<T, undefined> {
  const iterators = lists.map((list) => list[Symbol.asyncIterator]());
  const heads = await Promise.all(iterators.map((it) => it.next()));
  for (;;) {
    let newest: { at: number; item: T } | undefined;
    for (const [at, head] of heads.entries())
      if (head.done !== true && (!newest || timeOf(head.value) > timeOf(newest.item)))
        newest = { at, item: head.value };
    if (!newest) return undefined;
    yield newest.item;
    const iterator = iterators[newest.at];
    if (iterator) heads[newest.at] = await iterator.next();
  }
}
