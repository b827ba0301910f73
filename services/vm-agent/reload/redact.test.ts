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
