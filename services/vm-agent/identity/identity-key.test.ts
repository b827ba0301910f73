import { fork } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openIdentityKey } from "./identity-key";
import { formatVmState, parseVmState, readVmState, writeVmState } from "./vm-state";

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "murmur-identity-"));
});
afterEach(() => {
  fs.rmSync(directory, { recursive: true });
});
const file = () => join(directory, "identity.key");
const exported = () => openIdentityKey(directory).privateKey.export({ format: "jwk" });

describe("the identity key", () => {
  it("is made once, readable by the daemon's user only, and found again", () => {
    const made = exported();
    expect(fs.statSync(file()).mode & 0o777).toBe(0o600);
    expect(exported()).toEqual(made);
    expect(fs.readdirSync(directory)).toEqual(["identity.key"]);
  });

  it("is one, whichever of many processes was first to make it", async () => {
    const path = JSON.stringify(join(__dirname, "identity-key.ts"));
    const script = join(directory, "make.js");
    fs.writeFileSync(
      script,
      `require("@swc/core"); const swc = require("@swc/core"); const fs = require("fs");
       require.extensions[".ts"] = (m, f) => m._compile(swc.transformFileSync(f,
         { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } }).code, f);
       const { openIdentityKey } = require(${path});
       process.on("message", () => {
         process.send(openIdentityKey(${JSON.stringify(join(directory, "state"))}).privateKey.export({ format: "jwk" }).d);
         process.disconnect();
       });
       process.send("ready");`,
    );
    fs.mkdirSync(join(directory, "state"), { mode: 0o700 });
    const execArgv = ["--no-warnings"];
    const env = { ...process.env, NODE_PATH: join(__dirname, "../../../node_modules") };
    const children = Array.from({ length: 6 }, () => fork(script, [], { execArgv, env }));
    const keys = await new Promise<unknown[]>((resolve, reject) => {
      const seen: unknown[] = [];
      let ready = 0;
      for (const child of children) {
        child.on("error", reject);
        child.on("message", (message) => {
          if (message !== "ready") seen.push(message);
          else if (++ready === children.length) for (const each of children) each.send("go");
          if (seen.length === children.length) resolve(seen);
        });
      }
    });
    expect(new Set(keys).size).toBe(1);
  });

  it.each([
    ["wider mode", (path: string) => fs.chmodSync(path, 0o640)],
    [
      "link",
      (path: string) => {
        fs.renameSync(path, `${path}.real`);
        fs.symlinkSync(`${path}.real`, path);
      },
    ],
    ["cut file", (path: string) => fs.truncateSync(path, 20)],
    ["empty file", (path: string) => fs.truncateSync(path, 0)],
    [
      "directory",
      (path: string) => {
        fs.rmSync(path);
        fs.mkdirSync(path);
      },
    ],
    ["large file", (path: string) => fs.truncateSync(path, 100_000)],
  ])("of a %s is refused and never replaced", (_what, spoil) => {
    exported();
    spoil(file());
    const before = fs.lstatSync(file()).ino;
    expect(() => openIdentityKey(directory)).toThrow(file());
    expect(fs.lstatSync(file()).ino).toBe(before);
  });

  it("is not put where others may write", () => {
    fs.chmodSync(directory, 0o777);
    expect(() => openIdentityKey(directory)).toThrow("only the daemon's user");
  });

  it("that is damaged is not quoted in the error", () => {
    const { d } = exported();
    fs.writeFileSync(file(), `{"kty":"OKP","crv":"Ed25519","x":"","d":"${d}"`);
    expect(() => openIdentityKey(directory)).toThrow(expect.not.stringContaining(d!) as string);
  });
});

const text = fc.string({ minLength: 1 }).filter((value) => value !== "");
const state = fc.record({
  vmId: text,
  tenantId: text,
  name: text,
  joinTokenHash: text,
  deliveryPublicKeys: fc.array(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    { minLength: 1, maxLength: 4 },
  ),
});

describe("the state of a VM", () => {
  it("is read as it was written, and absent before that", () => {
    expect(readVmState(directory)).toBeUndefined();
    fc.assert(
      fc.property(state, (written) => {
        writeVmState(directory, written);
        expect(readVmState(directory)).toEqual(written);
      }),
      { numRuns: 20 },
    );
    expect(fs.readdirSync(directory)).toEqual(["vm.json"]);
    expect(fs.statSync(join(directory, "vm.json")).mode & 0o777).toBe(0o600);
  });

  it("is refused when it is damaged, at any place", () => {
    fc.assert(
      fc.property(state, fc.nat(), (written, at) => {
        const whole = formatVmState(written).trimEnd();
        expect(parseVmState(whole)).toEqual(written);
        expect(parseVmState(whole.slice(0, at % whole.length))).toBeUndefined();
      }),
    );
    fs.writeFileSync(join(directory, "vm.json"), "{}");
    expect(() => readVmState(directory)).toThrow("vm.json is damaged");
  });

  it("of any other text is none", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (garbage) => {
        expect(parseVmState(garbage)).toBeUndefined();
      }),
    );
  });
});
