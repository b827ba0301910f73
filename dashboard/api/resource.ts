import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, isAbort } from "./client";

/** Something of the server's that a page shows. */
export interface Resource<T> {
  /** The last that was read; undefined: none was yet. */
  value: T | undefined;
  /** Why the last try failed; what was read before may be old then. */
  error: ApiError | undefined;
  /** Reads again now. */
  reload: () => void;
}

interface Options {
  /** How long after an answer it is read again, while somebody looks at the page. */
  everyMs?: number;
}

/** Reads what `load` does, anew when `of` changes; what is under way is cancelled when nobody waits for it. */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  of: readonly unknown[],
  { everyMs }: Options = {},
): Resource<T> {
  const [state, setState] = useState<Pick<Resource<T>, "value" | "error">>(NOTHING);
  const [turn, setTurn] = useState(0);
  const key = JSON.stringify(of);
  const shown = useRef(key);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (shown.current !== key) setState(NOTHING);
    shown.current = key;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      try {
        const value = await latest.current(leaving.signal);
        if (!leaving.signal.aborted) setState({ value, error: undefined });
      } catch (problem) {
        if (leaving.signal.aborted || isAbort(problem)) return;
        setState(({ value }) => ({ value, error: problem as ApiError }));
      }
      if (everyMs !== undefined && !leaving.signal.aborted)
        timer = setTimeout(() => void whenVisible(leaving.signal).then(read), everyMs);
    };
    void read();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [key, turn, everyMs]);
  return { ...state, reload: () => setTurn((n) => n + 1) };
}

const NOTHING = { value: undefined, error: undefined };

/** Resolves at once, or when somebody looks at the page again; never when `signal` aborts before. */
function whenVisible(signal: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (!document.hidden) resolve();
    };
    document.addEventListener("visibilitychange", look, { signal });
  });
}
