import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sensitive } from "../../../lib/sensitive";
import { describeKeyProvider } from "../../../test/contract/key-provider";
import { createLocalKeyProvider } from "./local-key-provider";
import { createKeyring, keyringOf, openKeyring } from "./local-keyring";

const newKey = () => ({ id: randomUUID(), key: sensitive(randomBytes(32)) });

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-keyring-"));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describeKeyProvider("local", () => {
  const file = join(directory, "keyring.json");
  createKeyring(file);
  return Promise.resolve({
    provider: createLocalKeyProvider(openKeyring(file)),
    another: createLocalKeyProvider(openKeyring(file)),
    stranger: createLocalKeyProvider(keyringOf(newKey())),
  });
});

it("a local key provider whose keyring is gone is away: nothing is wrapped under what may be lost", async () => {
  const file = join(directory, "gone.json");
  createKeyring(file);
  const provider = createLocalKeyProvider(openKeyring(file));
  const key = sensitive(randomBytes(64));
  const wrapped = await provider.wrap(key);
  rmSync(file);
  for (const call of [() => provider.wrap(key), () => provider.rotate()])
    await expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect((await provider.unwrap(wrapped)).expose()).toEqual(key.expose());
});
