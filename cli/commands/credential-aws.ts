import { type Run } from "../command";
import { LocalError } from "../errors";
import { readOwnValues } from "../vm-side/own-values";

/**
 * Without an end, programs take credentials for long-lived ones and never ask again. The true end
 * is not known; this is how long a program may go on with those that a rekey has replaced.
 */
const LIFE_MS = 60_000;

/** The output of an AWS `credential_process`, version 1. */
export const run: Run = async ({ terminal, clock }, call) => {
  const prefix = call.text("prefix") ?? "";
  const [id = "", secret = "", token = ""] = [
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
  ].map((name) => `${prefix}AWS_${name}`);
  const values = await readOwnValues(terminal.env, [id, secret, token]);
  const missing = [id, secret].find((name) => !values.has(name));
  if (missing !== undefined) throw new LocalError(`this agent has no ${missing}`);
  const text = (name: string) => values.get(name)?.expose().toString("utf8");
  const end = new Date(clock.now().getTime() + LIFE_MS);
  const credentials = {
    Version: 1,
    AccessKeyId: text(id),
    SecretAccessKey: text(secret),
    SessionToken: text(token),
    Expiration: end.toISOString().replace(/\.\d+Z$/, "Z"),
  };
  terminal.stdout.write(`${JSON.stringify(credentials)}\n`);
};
