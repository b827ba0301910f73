import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { ConfigError, loadConfig } from "./config";

const KNOWN = [
  "MURMUR_A",
  "MURMUR_B",
  "MURMUR_C",
  "MURMUR_D",
  "MURMUR_E",
  "MURMUR_F",
  "MURMUR_OTHER_PART",
];

describe("loadConfig", () => {
  const directory = mkdtempSync(join(tmpdir(), "murmur-config-"));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  const load = (env: Record<string, string>) =>
    loadConfig(env, KNOWN, (read) => ({
      address: read.address("MURMUR_A"),
      count: read.int("MURMUR_B", { min: 1, max: 5 }, 3),
      waitMs: read.durationMs("MURMUR_C", 100),
      mode: read.oneOf("MURMUR_D", ["stream", "kafka"], "stream"),
      brokers: read.list("MURMUR_E", []),
      secret: read.secretFile("MURMUR_F"),
    }));

  it("reads typed values, defaults and secrets from files", () => {
    const file = join(directory, "secret");
    writeFileSync(file, "hunter2\n");
    const config = load({
      MURMUR_A: "127.0.0.1:7301",
      MURMUR_C: "2m",
      MURMUR_E: "a:1, b:2",
      MURMUR_F: file,
      PATH: "/x",
    });
    expect(config).toMatchObject({
      address: "127.0.0.1:7301",
      count: 3,
      waitMs: 120_000,
      mode: "stream",
      brokers: ["a:1", "b:2"],
    });
    expect(config.secret.expose()).toBe("hunter2");
    expect(`${inspect(config)}${JSON.stringify(config)}`).not.toContain("hunter2");
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("names every problem at once: unknown, wrong, missing", () => {
    const env = {
      MURMUR_TYPO: "1",
      MURMUR_B: "9",
      MURMUR_C: "soon",
      MURMUR_D: "pigeon",
      MURMUR_F: "/nowhere",
    };
    const error = (() => {
      try {
        return load(env);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems).toEqual([
      "MURMUR_TYPO is not a variable of this product",
      "MURMUR_A is required (host:port)",
      'MURMUR_B must be a whole number from 1 to 5, not "9"',
      'MURMUR_C must be a duration such as 150ms, 5s, 2m or 1h, not "soon"',
      'MURMUR_D must be one of stream, kafka, not "pigeon"',
      "MURMUR_F: cannot read /nowhere (ENOENT)",
    ]);
  });

  it("ignores variables of other parts and of other products", () => {
    const file = join(directory, "secret2");
    writeFileSync(file, "x");
    expect(() =>
      load({ MURMUR_OTHER_PART: "1", HOME: "/", MURMUR_A: "h:1", MURMUR_F: file }),
    ).not.toThrow();
  });
});
