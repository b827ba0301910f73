import type { Secret } from "../domain/secret";

/** A row of catalog.secrets. */
export interface SecretRow {
  owner: string;
  name: string;
  version: bigint;
  description: string | null;
  as_file: boolean;
  created_at: Date;
  updated_at: Date;
  updated_by: string;
}

export const SECRET_COLUMNS =
  "owner, name, version, description, as_file, created_at, updated_at, updated_by";

export function secretFromRow(row: SecretRow): Secret {
  return {
    owner: row.owner,
    name: row.name,
    version: row.version,
    description: row.description ?? undefined,
    delivery: row.as_file ? "file" : "environment",
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  };
}

/** A secret as it is kept in the answer of a request. */
export interface SecretAnswer extends Omit<SecretRow, "version" | "created_at" | "updated_at"> {
  version: string;
  created_at: string;
  updated_at: string;
}

export function answerToRow(answer: SecretAnswer): SecretRow {
  return {
    ...answer,
    version: BigInt(answer.version),
    created_at: new Date(answer.created_at),
    updated_at: new Date(answer.updated_at),
  };
}
