import {
  type GetEncryptionResponse,
  type KeyRotation,
} from "../../gen/murmur/catalog/v1/encryption";
import { relativeTime } from "../output/relative-time";

/** Name and text of what there is to say, in order. */
export function encryptionRows(
  { keyProvider, dataKeys, waitingDataKeys, lastRotation }: GetEncryptionResponse,
  now: Date,
): [string, string][] {
  const waiting = waitingDataKeys > 0 ? `, ${waitingDataKeys} of them not wrapped again yet` : "";
  return [
    ["key provider", keyProvider],
    ["data keys", `${dataKeys}${waiting}`],
    ["last rotation", lastRotation ? rotationWords(lastRotation, now) : "never"],
  ];
}

/** `2 days ago by github/olga`. */
function rotationWords(rotation: KeyRotation, now: Date) {
  const { startedAt, requestedBy, finishedAt, madeKey, damagedDataKeys: damaged } = rotation;
  const how = madeKey ? "" : ", without a newer key";
  const end = finishedAt ? "" : ", not finished";
  const broken =
    damaged > 0 ? `; ${damaged} data ${damaged === 1 ? "key does" : "keys do"} not open` : "";
  return `${relativeTime(startedAt, now)} by ${requestedBy}${how}${end}${broken}`;
}

/** For machines. */
export function encryptionToJson(answer: GetEncryptionResponse) {
  const { keyProvider, dataKeys, waitingDataKeys, lastRotation } = answer;
  return {
    ...{ key_provider: keyProvider, data_keys: dataKeys, waiting_data_keys: waitingDataKeys },
    last_rotation: lastRotation && rotationToJson(lastRotation),
  };
}

/** For machines. */
export function rotationToJson(rotation: KeyRotation) {
  const { number, requestedBy, madeKey, startedAt, finishedAt, dataKeys } = rotation;
  return {
    ...{ number: Number(number), requested_by: requestedBy, made_key: madeKey },
    ...{ started_at: startedAt, finished_at: finishedAt, data_keys: dataKeys },
    damaged_data_keys: rotation.damagedDataKeys,
  };
}
