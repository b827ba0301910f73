import { sensitive } from "../../../lib/sensitive";
import { redact } from "./redact";

const hide = (output: string, values: string[], isCut = false): string =>
  redact(
    Buffer.from(output),
    values.map((value) => sensitive(Buffer.from(value))),
    isCut,
  );

test("every value is masked, wherever and however often it stands", () => {
  expect(hide("a tok-1 b\ntok-1tok-1", ["tok-1"])).toBe("a [redacted] b\n[redacted][redacted]");
  expect(hide("tok-12 tok-1", ["tok-1", "tok-12"])).toBe("[redacted] [redacted]");
  expect(hide("abcd", ["abc", "bcd"])).not.toMatch(/abc|bcd/);
  expect(hide("nothing", ["", "tok"])).toBe("nothing");
});

test("a value of several lines is masked whole, line by line, and as JSON", () => {
  const key = "-----BEGIN-----\nsecretsecret\n-----END-----";
  expect(hide(`x${key}y`, [key])).toBe("x[redacted]y");
  expect(hide("1: secretsecret", [key])).toBe("1: [redacted]");
  expect(hide(JSON.stringify({ key }), [key])).toBe('{"key":"[redacted]"}');
});

test("the beginning of a value where the output was cut off is cut off, too", () => {
  expect(hide("output tok-", ["tok-1"], true)).toBe("output ");
  expect(hide("output tok-", ["tok-1"], false)).toBe("output tok-");
});

test("a value is masked in the encodings in which programs show it", () => {
  const value = "tok/secret+?1234567";
  const bytes = Buffer.from(value);
  for (const encoded of [
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    bytes.toString("base64"),
    bytes.toString("base64url"),
    encodeURIComponent(value),
  ])
    expect(hide(`a ${encoded} b`, [value])).toMatch(/^a \[redacted\]=* b$/);
  for (const before of ["", "u:", "u:1", "user:"]) {
    const header = Buffer.from(`${before}${value}:behind`).toString("base64");
    const hidden = hide(`authorization: Basic ${header}`, [value]);
    expect(hidden).toContain("[redacted]");
    expect(hidden.length).toBeLessThan(`authorization: Basic ${header}`.length);
    // What is left at its ends depends on the bytes beside it.
    for (let at = 0; at + 8 <= value.length; at++)
      expect(Buffer.from(hidden.slice(21), "base64").toString("latin1")).not.toContain(
        value.slice(at, at + 8),
      );
  }
});

test("many values in a whole output take no time that anybody waits for", () => {
  const values = Array.from({ length: 1_000 }, (_, at) => `value-${at}-${"x".repeat(40)}`);
  const output = "nothing of them\n".repeat(4_096);
  expect(hide(`${output}${values[7]!}`, values)).toBe(`${output}[redacted]`);
});
