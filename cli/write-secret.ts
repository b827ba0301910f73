import { randomUUID } from "node:crypto";
import { type SecretDelivery } from "../gen/murmur/catalog/v1/secrets";
import { type Sensitive } from "../lib/sensitive";
import { type CommandContext } from "./command";
import { patient } from "./patient";
import { withSecretHint } from "./secret-hints";

/** What is written of a secret besides its name. */
export interface SecretFields {
  value: Sensitive<Buffer>;
  delivery: SecretDelivery;
  /** Undefined keeps the one there is. */
  description: string | undefined;
  expectedVersion: bigint | undefined;
}

/** Writes a version, once even when the call has to be repeated. */
export async function writeSecret(
  context: CommandContext,
  write: SecretFields & { name: string },
): Promise<void> {
  const plaintextValue = write.value.expose();
  const { secrets } = await context.catalog();
  const request = {
    name: write.name,
    plaintextValue,
    description: write.description,
    createdAt: undefined,
    expectedVersion: write.expectedVersion,
    delivery: write.delivery,
    requestId: randomUUID(),
  };
  await withSecretHint({ name: write.name, isEmpty: plaintextValue.length === 0 }, () =>
    patient(() => secrets.setSecret(request)),
  );
}
