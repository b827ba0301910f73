import { type Run } from "../command";
import { rotationToJson } from "../encryption/views";

export const run: Run = async ({ catalog, output }, call) => {
  const { encryption } = await catalog();
  const rewrapOnly = call.flag("rewrap-only");
  const { rotation } = await encryption.rotateKeyEncryptionKey({ rewrapOnly });
  if (!rotation) throw new Error("the catalog answered without the rotation");
  if (call.flag("json")) {
    output.json(rotationToJson(rotation));
    return;
  }
  const { dataKeys, madeKey } = rotation;
  const keys = `${dataKeys} data ${dataKeys === 1 ? "key" : "keys"}`;
  const under = madeKey ? "a newer key-encryption key" : "the newest key-encryption key";
  output.line(`Wrapped ${keys} under ${under}`);
};
