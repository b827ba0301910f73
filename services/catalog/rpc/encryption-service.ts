import type {
  EncryptionServiceService,
  KeyRotation as KeyRotationMessage,
} from "../../../gen/murmur/catalog/v1/encryption";
import type { HandlersOf } from "../../../lib/grpc/definition";
import { callerOf } from "../audit";
import type { KeyRotation } from "../domain/key-rotation";
import type { KeyRotations } from "../encryption/key-rotations";

/** The handlers of EncryptionService. */
export function createEncryptionService(
  rotations: KeyRotations,
): HandlersOf<typeof EncryptionServiceService> {
  return {
    async rotateKeyEncryptionKey({ rewrapOnly }, context) {
      return { rotation: toMessage(await rotations.rotate(callerOf(context), { rewrapOnly })) };
    },
    async getEncryption(_request, context) {
      const { tenantId } = callerOf(context);
      const { keyProvider, dataKeys, waiting, lastRotation } = await rotations.show(tenantId);
      return {
        ...{ keyProvider, dataKeys, waitingDataKeys: waiting },
        lastRotation: lastRotation && toMessage(lastRotation),
      };
    },
  };
}

function toMessage(rotation: KeyRotation): KeyRotationMessage {
  const { number, requestedBy, madeKey, startedAt, finishedAt, dataKeys } = rotation;
  const { damagedDataKeys } = rotation;
  return { number, requestedBy, madeKey, startedAt, finishedAt, dataKeys, damagedDataKeys };
}
