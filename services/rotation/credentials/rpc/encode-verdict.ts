import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  CredentialFault,
  VerifyCredentialResponse,
  type VerifyCredentialsResponse,
} from "../../../../gen/murmur/rotation/v1/credentials";
import { Encoded } from "../../../../lib/grpc/encoded";
import type { Credential } from "../domain/credential";
import type { Verdict } from "../verify-credentials";
import { leftMs, toVerdict } from "./to-credential";

/** Field 1, length-delimited: `answers` of VerifyCredentialsResponse. */
const ANSWERS = (1 << 3) | 2;
const NOTHING: VerifyCredentialResponse = {
  ...{ valid: false, fault: CredentialFault.CREDENTIAL_FAULT_UNSPECIFIED, tenantId: "" },
  ...{ credential: undefined, validForMs: undefined },
};

/** Answers by credential, all but for how long it is valid: those in memory are encoded once. */
const answers = new WeakMap<Credential, Uint8Array>();

/** The answer of VerifyCredential. */
export function encodeVerdict(verdict: Verdict): Encoded<VerifyCredentialResponse> {
  const writer = new BinaryWriter();
  writeVerdict(writer, verdict);
  return new Encoded(toBuffer(writer));
}

/** The answer of VerifyCredentials. */
export function encodeVerdicts(verdicts: readonly Verdict[]): Encoded<VerifyCredentialsResponse> {
  const writer = new BinaryWriter();
  for (const verdict of verdicts) {
    writer.uint32(ANSWERS).fork();
    writeVerdict(writer, verdict);
    writer.join();
  }
  return new Encoded(toBuffer(writer));
}

/** In two parts, which are one message: fields may come in any order and in any number of pieces. */
function writeVerdict(writer: BinaryWriter, verdict: Verdict): void {
  if (verdict.fault) {
    VerifyCredentialResponse.encode(toVerdict(verdict), writer);
    return;
  }
  const { credential } = verdict;
  let answer = answers.get(credential);
  if (!answer) {
    const lasting = toVerdict({ ...verdict, validForMs: undefined });
    answer = VerifyCredentialResponse.encode(lasting).finish();
    answers.set(credential, answer);
  }
  writer.raw(answer);
  const validForMs = leftMs(verdict);
  if (validForMs !== undefined) VerifyCredentialResponse.encode({ ...NOTHING, validForMs }, writer);
}

function toBuffer(writer: BinaryWriter): Buffer {
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
