import { randomBytes, randomUUID } from "node:crypto";
import { sensitive } from "../../../lib/sensitive";
import { describeKeyProvider } from "../../../test/contract/key-provider";
import { createLocalKeyProvider } from "./local-key-provider";

const newKey = () => ({ id: randomUUID(), key: sensitive(randomBytes(32)) });

describeKeyProvider("local", () => {
  const keyring = [newKey()];
  return Promise.resolve({
    provider: createLocalKeyProvider(keyring),
    stranger: createLocalKeyProvider([newKey()]),
    rotate: () => Promise.resolve(createLocalKeyProvider([...keyring, newKey()])),
  });
});
