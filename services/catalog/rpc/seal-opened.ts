import { EnvironmentSet } from "../../../gen/murmur/catalog/v1/delivery";
import type { DeliverySession, Sealed } from "../domain/delivery-session";
import type { OpenedEnvironment } from "../domain/environment";

/** Seals a set for the VM of a session; its plaintext is wiped before this returns. */
export function sealOpened(
  session: DeliverySession,
  nonce: Uint8Array,
  environment: OpenedEnvironment,
): Sealed {
  const { agentId, generation } = environment;
  const plaintext = encode(environment);
  const sealed = session.seal({ agentId, generation, nonce }, plaintext);
  plaintext.fill(0);
  return sealed;
}

/** The only place where a whole set is in the clear; the caller wipes it. */
function encode(environment: OpenedEnvironment): Uint8Array {
  const { agentId, generation, floor, fingerprintKey } = environment;
  return EnvironmentSet.encode({
    agentId,
    generation,
    floor,
    variables: environment.variables.map(({ name, value, asFile }) => {
      return { name, value: value.expose(), asFile };
    }),
    unsetNames: [...environment.unsetNames],
    fingerprintKey: fingerprintKey.expose(),
  }).finish();
}
