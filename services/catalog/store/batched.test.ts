import { batched } from "./batched";

/** Answers by hand, and remembers what was asked together. */
function createDesk() {
  const batches: { questions: readonly number[]; finish: (error?: Error) => void }[] = [];
  const answer = (questions: readonly number[]) =>
    new Promise<number[]>((resolve, reject) => {
      const finish = (error?: Error) => {
        if (error) reject(error);
        else resolve(questions.map((each) => each * 10));
      };
      batches.push({ questions, finish });
    });
  return { batches, answer };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("questions at a time", () => {
  it("are asked together, and each gets its own answer", async () => {
    const { batches, answer } = createDesk();
    const ask = batched(answer);
    const answers = Promise.all([1, 2, 3].map(ask));
    await turn();
    expect(batches.map(({ questions }) => questions)).toEqual([[1, 2, 3]]);
    batches[0]!.finish();
    expect(await answers).toEqual([10, 20, 30]);
  });

  it("wait for those under way, and never share an answer that was begun before them", async () => {
    const { batches, answer } = createDesk();
    const ask = batched(answer, { maxInFlight: 1 });
    const first = ask(1);
    await turn();
    const later = [ask(1), ask(1)];
    await turn();
    expect(batches).toHaveLength(1);
    batches[0]!.finish();
    await first;
    await turn();
    expect(batches[1]!.questions).toEqual([1, 1]);
    batches[1]!.finish();
    expect(await Promise.all(later)).toEqual([10, 10]);
  });

  it("that fail do so together and leave the next ones alone", async () => {
    const { batches, answer } = createDesk();
    const ask = batched(answer);
    const failed = Promise.allSettled([ask(1), ask(2)]);
    await turn();
    batches[0]!.finish(new Error("away"));
    expect((await failed).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const next = ask(3);
    await turn();
    batches[1]!.finish();
    expect(await next).toBe(30);
  });

  it("are split by weight, and one that is too heavy goes alone", async () => {
    const { batches, answer } = createDesk();
    const options = { weightOf: (question: number) => question, maxWeight: 10, maxInFlight: 9 };
    const ask = batched(answer, options);
    const answers = Promise.all([4, 5, 6, 50, 1].map(ask));
    await turn();
    expect(batches.map(({ questions }) => questions)).toEqual([[4, 5], [6], [50], [1]]);
    for (const { finish } of batches) finish();
    expect(await answers).toEqual([40, 50, 60, 500, 10]);
  });
});
