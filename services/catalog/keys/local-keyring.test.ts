import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeyring, openKeyring, readKeyring } from "./local-keyring";

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-keyring-"));
  file = join(directory, "keyring.json");
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("a keyring", () => {
  it("is made for its owner only, whatever the umask, and leaves nothing beside it", () => {
    const umask = process.umask(0);
    try {
      createKeyring(file);
    } finally {
      process.umask(umask);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["keyring.json"]);
    expect(readKeyring(file)).toHaveLength(1);
  });

  it("is left as it is when it is there", () => {
    createKeyring(file);
    const before = readFileSync(file);
    createKeyring(file);
    expect(readFileSync(file)).toEqual(before);
  });

  it("takes another key as the newest, and keeps the ones before it, for its owner only", () => {
    createKeyring(file);
    const [ours, theirs] = [openKeyring(file), openKeyring(file)];
    const [first] = ours.known();
    ours.add();
    theirs.add();
    const ids = readKeyring(file).map(({ id }) => id);
    expect(ids).toHaveLength(3);
    expect(ids[0]).toBe(first?.id);
    expect(ours.known()).toHaveLength(2);
    expect(ours.read().map(({ id }) => id)).toEqual(ids);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["keyring.json"]);
  });

  it("is refused when others may read it", () => {
    createKeyring(file);
    chmodSync(file, 0o640);
    expect(() => readKeyring(file)).toThrow(/may be read by others/);
  });

  it.each([
    ["no JSON", "{"],
    ["of another version", '{"version":2,"keys":[]}'],
    ["empty", '{"version":1,"keys":[]}'],
    ["with a short key", '{"version":1,"keys":[{"id":"a","key":"QUJD"}]}'],
  ])("is refused when it is %s, without quoting it", (_what, content) => {
    writeFileSync(file, content, { mode: 0o600 });
    expect(() => readKeyring(file)).toThrow(`${file} is not a keyring`);
  });

  it("is an error when its directory is gone", () => {
    expect(() => {
      createKeyring(join(directory, "none", "keyring.json"));
    }).toThrow(/ENOENT/);
  });
});
