import type { Clock } from "../clock";

/** Longer than it takes to find out, on a machine that is not overwhelmed. */
const STEP_MS = 20;

/**
 * Tells what came of `work`, and a refusal only after a whole number of steps since it began: whether a
 * value was never one, has expired or was revoked takes different work, and must not show in the time.
 * The steps are counted from the start and not from the end of the work, whose end they would show.
 */
export async function holdBack<T>(
  clock: Clock,
  work: Promise<T>,
  isRefusal: (result: T) => boolean,
): Promise<T> {
  const progress = { isOver: false };
  const steps = (async () => {
    do await clock.sleep(STEP_MS);
    while (!progress.isOver);
  })();
  const result = await work.finally(() => {
    progress.isOver = true;
  });
  if (isRefusal(result)) await steps;
  return result;
}
