import type { Clock } from "../lib/clock";

export interface SharedQuestionsOptions<Question, Answer> {
  /** Answers in their order, at most `batch` questions at once. */
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  batch: number;
  /** For how long an answer counts, from when it was asked for; 0: it is not remembered. */
  lifeMs: (answer: Answer) => number;
  clock: Clock;
}

/** Questions to another service whose answers are good for a while. */
export interface SharedQuestions<Question, Answer> {
  /** What is remembered under this key and still counts, by the monotonic clock. */
  recall(key: string): Answer | undefined;
  /** Asks, together with all who ask at once, and once for each key. Throws what `ask` does. */
  ask(key: string, question: Question): Promise<Answer>;
}

interface Asked<Question, Answer> {
  question: Question;
  answer: Promise<Answer>;
  resolve: (answer: Promise<Answer>) => void;
}

const MAX_REMEMBERED = 10_000;

export function createSharedQuestions<Question, Answer>(
  options: SharedQuestionsOptions<Question, Answer>,
): SharedQuestions<Question, Answer> {
  const { batch, lifeMs, clock } = options;
  const remembered = new Map<string, { answer: Answer; untilMs: number }>();
  let waiting = new Map<string, Asked<Question, Answer>>();

  const remember = (key: string, answer: Answer, askedAtMs: number) => {
    const life = lifeMs(answer);
    if (life <= 0) return;
    const [oldest] = remembered.keys();
    if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    // From when it was asked: the answer may be as old as that.
    remembered.set(key, { answer, untilMs: askedAtMs + life });
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
    recall(key) {
      const known = remembered.get(key);
      if (!known) return undefined;
      if (clock.monotonicMs() < known.untilMs) return known.answer;
      remembered.delete(key);
      return undefined;
    },
    async ask(key, question) {
      const askedAtMs = clock.monotonicMs();
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
