import { api, answerOf, idempotencyKey } from "../api/client";
import { allPages, PAGE_SIZE } from "../api/pages";
import type { components } from "../api/rest-types";

export type Secret = components["schemas"]["Secret"];
export type SecretVersion = components["schemas"]["SecretVersion"];
export type PreviewedChange = components["schemas"]["PreviewedChange"];
export type Holder = components["schemas"]["Holder"];

/** By name. Their values never leave the service. */
export function listSecrets(signal: AbortSignal): Promise<Secret[]> {
  return allPages(async (pageToken) => {
    const query = { page_size: PAGE_SIZE, page_token: pageToken };
    const page = await answerOf(api.GET("/v1/secrets", { params: { query }, signal }));
    return { items: page.secrets, nextPageToken: page.next_page_token };
  });
}

/** What there is to know of a secret. */
export interface SecretFacts {
  secret: Secret | undefined;
  versions: readonly SecretVersion[];
  holders: readonly Holder[];
}

export async function getSecretFacts(name: string, signal: AbortSignal): Promise<SecretFacts> {
  const [one, history, held] = await Promise.all([
    answerOf(api.GET("/v1/secrets/{name}", { params: { path: { name } }, signal })),
    answerOf(api.GET("/v1/secrets/{name}/versions", { params: { path: { name } }, signal })),
    answerOf(
      api.GET("/v1/secrets/{secret_name}/holders", {
        params: { path: { secret_name: name } },
        signal,
      }),
    ),
  ]);
  return { secret: one.secret, versions: history.versions, holders: held.holders };
}

export async function setSecret(name: string, value: string, description: string): Promise<void> {
  const params = { path: { name }, header: idempotencyKey() };
  const body = { plaintext_value: value, ...(description !== "" && { description }) };
  await answerOf(api.PUT("/v1/secrets/{name}", { params, body }));
}

export async function deleteSecret(name: string): Promise<void> {
  await answerOf(api.DELETE("/v1/secrets/{name}", { params: { path: { name } } }));
}

/** Who would get a new generation, and which names would change for them. */
export async function previewRekey(secretName: string) {
  const body = { selection: { secret_name: secretName } };
  return answerOf(api.POST("/v1/rollouts/preview", { body }));
}

/** Brings the secret as it is now to everyone who holds it. */
export async function rekeyHolders(secretName: string): Promise<string> {
  const body = { selection: { secret_name: secretName } };
  const call = api.POST("/v1/rollouts", { params: { header: idempotencyKey() }, body });
  return (await answerOf(call)).rollout?.rollout_id ?? "";
}
