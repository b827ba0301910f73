import { connect } from "node:net";
import fc from "fast-check";
import { invalid } from "../../../lib/errors";
import { createTestSocket, readAll, type TestSocket } from "../../../test/harness/local-socket";

let rig: TestSocket;
beforeEach(async () => {
  rig = await createTestSocket();
});
afterEach(() => rig.close());

describe("what is asked", () => {
  test("a child's command and secrets arrive byte for byte, and the secrets do not print", async () => {
    await rig.listen();
    const params = {
      slug: "child",
      argv: ["a b", "'\"$x\n", "é"],
      env: { TOKEN: "v$'\n\"" },
      working_directory: "/tmp",
    };
    await rig.askAsAgent("ask; sleep 1000", JSON.stringify({ method: "spawn-child", params }));
    const request = rig.calls[0]?.request as { env: Map<string, { expose(): string }> };
    expect(request).toMatchObject({ slug: "child", argv: params.argv, workingDirectory: "/tmp" });
    expect(request.env.get("TOKEN")?.expose()).toBe(params.env.TOKEN);
    expect(JSON.stringify([...request.env])).not.toContain("v$");
  });

  test("a process to adopt arrives by its number, with the values of the child", async () => {
    await rig.listen();
    const params = { slug: "child", pid: 4711, env: { TOKEN: "v" } };
    await rig.askAsAgent("ask; sleep 1000", JSON.stringify({ method: "adopt-child", params }));
    expect(rig.calls).toMatchObject([
      { method: "adopt-child", request: { slug: "child", pid: 4711, workingDirectory: undefined } },
    ]);
  });

  test("a refusal tells code, reason and fields; a bug tells nothing", async () => {
    await rig.listen({
      onDaemonStatus: () => Promise.reject(new Error("password=hunter2")),
    });
    expect(await rig.ask('{"method": "daemon-status"}')).toBe(
      '{"id":null,"error":{"code":"INTERNAL","reason":"INTERNAL","message":"internal error"}}\n',
    );
    await rig.server.stop();
    await rig.listen({ onDaemonStatus: () => Promise.reject(invalid("slug", "slug is bad")) });
    expect(JSON.parse(await rig.ask('{"id":"7","method": "daemon-status"}'))).toMatchObject({
      id: "7",
      error: { code: "INVALID_ARGUMENT", reason: "INVALID_FIELD", message: "slug is bad" },
    });
  });

  test.each([
    ["no JSON", "{", "request must be one line of JSON"],
    ["a list", "[]", "request must be an object"],
    ["null", "null", "request must be an object"],
    ["an unknown method", '{"method":"rekey"}', "method is unknown"],
    [
      "a number for an id",
      '{"id":1,"method":"ping"}',
      "id must be a string of at most 64 characters",
    ],
    ["a method of every object", '{"method":"constructor"}', "method is unknown"],
    ["no slug", '{"method":"spawn-child","params":{"argv":["x"]}}', "slug is required"],
    ...["1", "-5", "4194305", "7.5", '"7"', "null"].map((pid) => [
      `the pid ${pid}`,
      `{"method":"adopt-child","params":{"slug":"x","pid":${pid}}}`,
      "pid must be a number from 2 to 4194304",
    ]),
    [
      "no command",
      '{"method":"spawn-child","params":{"slug":"x"}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "a NUL in a command",
      '{"method":"spawn-child","params":{"slug":"x","argv":["a\\u0000"]}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "half a character",
      '{"method":"spawn-child","params":{"slug":"x","argv":["\\ud800"]}}',
      "argv must be 1 to 1024 texts without NUL",
    ],
    [
      "an environment that is a list",
      '{"method":"spawn-child","params":{"slug":"x","argv":["x"],"env":[1]}}',
      "env must be an object",
    ],
    [
      "a value that is a number",
      '{"method":"spawn-child","params":{"slug":"x","argv":["x"],"env":{"A":1}}}',
      "env must hold texts without NUL",
    ],
    [
      "a name that is a path",
      '{"method":"get-values","params":{"names":["../live"]}}',
      "names must be 1 to 100 names of variables",
    ],
    ["no names", '{"method":"get-values"}', "names must be 1 to 100 names of variables"],
    [
      "a field too many",
      '{"method":"ping","params":{"agent_id":"x"}}',
      "params holds a field that is unknown",
    ],
  ])("%s is refused by name, and the connection goes on", async (_, line, message) => {
    await rig.listen();
    const answers = (await rig.ask(line, '{"id":"next","method":"ping"}')).trim().split("\n");
    expect(JSON.parse(answers[0]!)).toMatchObject({ error: { code: "INVALID_ARGUMENT", message } });
    expect(JSON.parse(answers[1]!)).toEqual({ id: "next", result: {} });
  });

  test("anything at all is answered line by line, or refused, and the daemon lives", async () => {
    await rig.listen();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string(), fc.json()), { maxLength: 5 }),
        async (lines) => {
          const sent = lines.map((line) => line.replaceAll("\n", " "));
          const answers = (await rig.ask(...sent, '{"id":"last","method":"ping"}'))
            .trim()
            .split("\n");
          expect(answers).toHaveLength(sent.length + 1);
          expect(JSON.parse(answers.at(-1)!)).toEqual({ id: "last", result: {} });
        },
      ),
      { numRuns: 100 },
    );
    const notUtf8 = connect(rig.vm.socketPath, () => notUtf8.end(Buffer.from([0xff, 0x0a])));
    expect(await readAll(notUtf8)).toMatch(/request must be UTF-8/);
  });
});
