import { sensitive, type Sensitive } from "../../lib/sensitive";
import { askForPart } from "./parts-client";

export interface TestOpenBao {
  /** http://host:port */
  address: string;
  token: Sensitive<string>;
}

/**
 * The run's OpenBao with the transit engine at `transit/`, or the Vault that MURMUR_TEST_VAULT
 * names (token in VAULT_TOKEN). It is shared: use a key name of your own.
 */
export async function testOpenBao(): Promise<TestOpenBao> {
  const { address, token } = await askForPart<{ address: string; token: string }>("openbao");
  return { address, token: sensitive(token) };
}
