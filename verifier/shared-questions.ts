import type { Clock } from "../lib/clock";
import { type ChangeLease, MAX_LEASED_MS } from "./change-lease";

/** What an answer is good for. */
export interface Life {
  /** For how long it counts from when it was asked for, unless it is known to be out of date. */
  ms: number;
  /** For how long while the lease is alive: MAX_LEASED_MS at most. */
  leasedMs: number;
  /** What it is about, as changes name it. */
  subject: string;
}

/** How often something was asked for, and what is remembered; only ever read. */
export interface MemoryCounts {
  hits: number;
  misses: number;
  remembered: number;
}

export interface SharedQuestionsOptions<Question, Answer> {
  /** Answers in their order, at most `batch` questions at once. */
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  batch: number;
  /** Undefined: it is not remembered. */
  lifeOf: (answer: Answer) => Life | undefined;
  clock: Clock;
  /** Absent: nothing is heard of changes. */
  lease?: ChangeLease | undefined;
}

/** Questions to another service whose answers are good for a while. */
export interface SharedQuestions<Question, Answer> {
  /** What is remembered under this key and still counts, by the monotonic clock. */
  recall(key: string): Answer | undefined;
  /** Asks, together with all who ask at once, and once for each key. Throws what `ask` does. */
  ask(key: string, question: Question): Promise<Answer>;
  readonly counts: Readonly<MemoryCounts>;
}

interface Asked<Question, Answer> {
  question: Question;
  answer: Promise<Answer>;
  resolve: (answer: Promise<Answer>) => void;
}

interface Remembered<Answer> {
  answer: Answer;
  subject: string;
  askedAtMs: number;
  untilMs: number;
  leasedUntilMs: number;
}

const MAX_REMEMBERED = 10_000;

export function createSharedQuestions<Question, Answer>(
  options: SharedQuestionsOptions<Question, Answer>,
): SharedQuestions<Question, Answer> {
  const { batch, lifeOf, clock, lease } = options;
  const remembered = new Map<string, Remembered<Answer>>();
  const counts = { hits: 0, misses: 0 };
  let waiting = new Map<string, Asked<Question, Answer>>();

  const remember = (key: string, answer: Answer, askedAtMs: number) => {
    remembered.delete(key);
    const life = lifeOf(answer);
    if (!life || life.ms <= 0) return;
    const [oldest] = remembered.keys();
    if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    const { subject, ms, leasedMs } = life;
    // From when it was asked: the answer may be as old as that.
    const untilMs = askedAtMs + ms;
    const leasedUntilMs = askedAtMs + Math.min(leasedMs, MAX_LEASED_MS);
    remembered.set(key, { answer, subject, askedAtMs, untilMs, leasedUntilMs });
  };
  const stillCounts = (it: Remembered<Answer>, nowMs: number) => {
    if (lease && !lease.isUnchanged(it.subject, it.askedAtMs)) return false;
    return nowMs < it.untilMs || (nowMs < it.leasedUntilMs && lease?.isAlive(nowMs) === true);
  };
  const flush = () => {
    const asked = [...waiting.values()];
    waiting = new Map();
    for (let at = 0; at < asked.length; at += batch) askFor(asked.slice(at, at + batch));
  };
  const askFor = (some: readonly Asked<Question, Answer>[]) => {
    const answers = options.ask(some.map(({ question }) => question));
    for (const [at, { resolve }] of some.entries())
      resolve(answers.then((all) => all[at] ?? missing()));
  };
  return {
    get counts() {
      return { ...counts, remembered: remembered.size };
    },
    recall(key) {
      const known = remembered.get(key);
      if (!known) return undefined;
      if (stillCounts(known, clock.monotonicMs())) {
        counts.hits++;
        return known.answer;
      }
      remembered.delete(key);
      return undefined;
    },
    async ask(key, question) {
      const askedAtMs = clock.monotonicMs();
      counts.misses++;
      lease?.touch();
      const answer = await (waiting.get(key) ?? enqueue(key, question)).answer;
      remember(key, answer, askedAtMs);
      return answer;
    },
  };

  function enqueue(key: string, question: Question): Asked<Question, Answer> {
    let resolve: Asked<Question, Answer>["resolve"] = () => undefined;
    const answer = new Promise<Answer>((done) => (resolve = done));
    if (waiting.size === 0) setImmediate(flush);
    const asked = { question, answer, resolve };
    waiting.set(key, asked);
    return asked;
  }
}

function missing(): never {
  throw new Error("rotation answered fewer questions than it was asked");
}
