import { EncryptionServiceService } from "../../../gen/murmur/catalog/v1/encryption";
import type { RouteKit } from "./rpc-route";
import type { Route } from "./route";

const tag = "encryption";

/** The keys that secrets are encrypted under. */
export function encryptionRoutes({ rpc }: RouteKit): Route[] {
  return [
    rpc({
      ...{ method: "GET", path: "/v1/encryption", tag },
      summary: "Show how secrets are encrypted, and when their keys were wrapped again",
      rpc: EncryptionServiceService.getEncryption,
    }),
    rpc({
      ...{ method: "POST", path: "/v1/encryption/rotate", tag },
      summary: "Make a newer key-encryption key and wrap the data keys again under it",
      rpc: EncryptionServiceService.rotateKeyEncryptionKey,
    }),
  ];
}
