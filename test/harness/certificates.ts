import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate authority of a test, with one certificate for services on 127.0.0.1. */
export interface TestAuthority {
  caFile: string;
  certFile: string;
  keyFile: string;
}

/** Makes both with the `openssl` of this machine. Files are `<name>-*.pem` in the directory. */
export function createTestAuthority(directory: string, name: string): TestAuthority {
  const file = (what: string) => join(directory, `${name}-${what}.pem`);
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    ...["req", "-x509", ...newKey, "-days", "2", "-subj", `/CN=${name} CA`],
    ...["-keyout", file("ca-key"), "-out", file("ca")],
  );
  openssl(
    ...["req", ...newKey, "-subj", `/CN=${name}`],
    ...["-keyout", file("key"), "-out", file("request")],
  );
  writeFileSync(file("extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  openssl(
    ...["x509", "-req", "-in", file("request"), "-days", "2", "-CAcreateserial"],
    ...["-CA", file("ca"), "-CAkey", file("ca-key")],
    ...["-extfile", file("extensions"), "-out", file("cert")],
  );
  return { caFile: file("ca"), certFile: file("cert"), keyFile: file("key") };
}
