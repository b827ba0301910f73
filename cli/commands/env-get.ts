import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { notFound } from "../../lib/errors";
import { type Run } from "../command";
import { HintedError } from "../errors";
import { readOwnValues } from "../vm-side/own-values";
import { writeValue } from "../credentials/write-value";

export const run: Run = async ({ terminal }, call) => {
  const name = call.arg("name");
  const value = (await readOwnValues(terminal.env, [name])).get(name);
  if (!value) {
    const message = `no "${name}" in this agent's environment`;
    throw new HintedError(
      notFound(ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, message),
      "Check the spelling. A secret that was added later comes with the next murmur rekey.",
    );
  }
  writeValue(terminal, value);
};
