/** What is there at once, or has to be waited for: on the way of every call, a promise is a cost. */
export type MayWait<T> = T | Promise<T>;

export function isWaiting<T>(it: MayWait<T>): it is Promise<T> {
  return typeof (it as { then?: unknown } | null | undefined)?.then === "function";
}
