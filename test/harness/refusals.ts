/**
 * Asserts that every one of these calls, which run at once and end in any order, is rejected with such an
 * error.
 */
export async function allRefused(
  calls: readonly Promise<unknown>[],
  error: object,
): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(calls);
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: error });
  return outcomes.flatMap((it): unknown[] => (it.status === "rejected" ? [it.reason] : []));
}
