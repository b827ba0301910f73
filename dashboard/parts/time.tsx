import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const SECOND = 1;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The machine's clock, by the second, while something that shows it is there. */
const now = signal(Date.now());
let watchers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

function useNow(): number {
  useEffect(() => {
    if (watchers++ === 0) timer = setInterval(() => (now.value = Date.now()), 1_000);
    now.value = Date.now();
    return () => {
      if (--watchers === 0) clearInterval(timer);
    };
  }, []);
  return now.value;
}

/** How long ago; the exact time in the title. */
export function Ago({ at, none = "never" }: { at: string | undefined; none?: string }) {
  const nowMs = useNow();
  if (at === undefined) return <span class="quiet">{none}</span>;
  const seconds = Math.round((nowMs - Date.parse(at)) / 1_000);
  return (
    <time datetime={at} title={exact(at)}>
      {seconds < 5 ? "just now" : `${roughly(seconds)} ago`}
    </time>
  );
}

/** What is left until then, to the second in the last hour. */
export function Countdown({ until, over = "over" }: { until: string; over?: string }) {
  const nowMs = useNow();
  const seconds = Math.ceil((Date.parse(until) - nowMs) / 1_000);
  return (
    <time class="countdown" datetime={until} title={exact(until)}>
      {seconds <= 0 ? over : precisely(seconds)}
    </time>
  );
}

/** For people, in their own time zone. */
export function exact(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}

const UNITS = [
  [DAY, "day"],
  [HOUR, "hour"],
  [MINUTE, "minute"],
  [SECOND, "second"],
] as const;

/** The largest unit of it. */
export function roughly(seconds: number): string {
  const [size, name] = UNITS.find(([unit]) => seconds >= unit) ?? [SECOND, "second"];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

function precisely(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds >= DAY)
    return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
  if (seconds >= HOUR)
    return `${Math.floor(seconds / HOUR)} h ${two(Math.floor((seconds % HOUR) / MINUTE))} min`;
  return `${Math.floor(seconds / MINUTE)}:${two(seconds % MINUTE)}`;
}
