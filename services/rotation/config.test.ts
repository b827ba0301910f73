import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRotationConfig } from "./config";

describe("configuration", () => {
  let directory: string;
  let required: Record<string, string>;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "murmur-config-"));
    const file = (name: string) => {
      writeFileSync(join(directory, name), `${name}\n`);
      return join(directory, name);
    };
    required = {
      MURMUR_ROTATION_DATABASE_URL_FILE: file("database-url"),
      MURMUR_ROTATION_SIGNING_KEY_FILE: file("signing-key"),
      MURMUR_KEY_SET_FILE: "/etc/murmur/keys.json",
    };
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it("needs three files and has a default for everything else", () => {
    const config = loadRotationConfig(required);
    expect(config).toMatchObject({
      listen: "127.0.0.1:7302",
      catalogAddress: "127.0.0.1:7301",
      kafka: undefined,
      logLevel: "info",
    });
    expect(JSON.stringify(config)).not.toContain("signing-key\n");
  });

  it("knows the signing key before this one when it is named", () => {
    expect(loadRotationConfig(required).earlierSigningKey).toBeUndefined();
    const { earlierSigningKey } = loadRotationConfig({
      ...required,
      MURMUR_ROTATION_EARLIER_SIGNING_KEY_FILE: required["MURMUR_ROTATION_SIGNING_KEY_FILE"],
    });
    expect(earlierSigningKey?.expose()).toBe("signing-key");
  });

  it("publishes to Kafka when brokers are named", () => {
    const config = loadRotationConfig({ ...required, MURMUR_KAFKA_BROKERS: "a:9092, b:9092" });
    expect(config.kafka).toEqual({
      brokers: ["a:9092", "b:9092"],
      topic: "murmur.credentials-rotated.v1",
    });
  });

  it("that is wrong is refused with all that is wrong", () => {
    const wrong = {
      MURMUR_ROTATION_LISTEN: "nowhere",
      MURMUR_ROTATION_TLS_CERT_FILE: "/cert",
      MURMUR_LOG_LEVEL: "loud",
      MURMUR_ROTATON_LISTEN: "typo",
    };
    expect(() => loadRotationConfig(wrong)).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([
          "MURMUR_ROTATON_LISTEN is not a variable of this product",
          expect.stringContaining("MURMUR_ROTATION_LISTEN must be host:port"),
          expect.stringContaining("MURMUR_ROTATION_DATABASE_URL_FILE is required"),
          "MURMUR_ROTATION_TLS_CERT_FILE and MURMUR_ROTATION_TLS_KEY_FILE go together",
        ]) as unknown,
      }) as Error,
    );
  });
});
