import { api, answerOf, idempotencyKey } from "../api/client";
import { allPages, PAGE_SIZE } from "../api/pages";
import type { components } from "../api/rest-types";
import type { Tone } from "../parts/badge";
import type { Collection } from "./collections";

export type Credential = components["schemas"]["Credential"];

/** Newest first. */
export function listCredentials(
  { base }: Collection,
  includeEnded: boolean,
  signal: AbortSignal,
): Promise<Credential[]> {
  return allPages(async (pageToken) => {
    const query = { include_ended: includeEnded, page_size: PAGE_SIZE, page_token: pageToken };
    const page = await answerOf(api.GET(base, { params: { query }, signal }));
    return { items: page.credentials, nextPageToken: page.next_page_token };
  });
}

export async function getCredential(
  { base }: Collection,
  id: string,
  signal: AbortSignal,
): Promise<Credential> {
  const params = { path: { credential_id: id } };
  const { credential } = await answerOf(
    api.GET(`${base}/{credential_id}` as const, { params, signal }),
  );
  return required(credential);
}

/** A value that was just made; nobody can ask for it again. */
export interface Made {
  credential: Credential;
  value: string;
}

export async function createCredential(
  { base }: Collection,
  wish: { label: string; scopes: string[]; agentName: string; expiresAt: string | undefined },
): Promise<Made> {
  const params = { header: idempotencyKey() };
  const common = { label: wish.label, ...(wish.expiresAt && { expires_at: wish.expiresAt }) };
  const made =
    base === "/v1/keys"
      ? await answerOf(api.POST(base, { params, body: { ...common, scopes: wish.scopes } }))
      : await answerOf(api.POST(base, { params, body: { ...common, agent_name: wish.agentName } }));
  return { credential: required(made.credential), value: made.value };
}

export async function rotateCredential(
  { base }: Collection,
  id: string,
  graceSeconds: GraceSeconds,
): Promise<Made> {
  const params = { path: { credential_id: id }, header: idempotencyKey() };
  const body = { grace_seconds: graceSeconds };
  const made = await answerOf(
    api.POST(`${base}/{credential_id}/rotate` as const, { params, body }),
  );
  return { credential: required(made.credential), value: made.value };
}

export async function revokeCredential({ base }: Collection, id: string): Promise<void> {
  const params = { path: { credential_id: id } };
  await answerOf(api.POST(`${base}/{credential_id}/revoke` as const, { params, body: {} }));
}

/** How long the old one lives on, and what that means for it. */
export const GRACE_PERIODS = [
  { seconds: 0, name: "Immediate", effect: "Revoked instantly" },
  { seconds: 900, name: "15 minutes", effect: "Valid for 15 more minutes" },
  { seconds: 3_600, name: "1 hour", effect: "Valid for 1 more hour" },
  { seconds: 21_600, name: "6 hours", effect: "Valid for 6 more hours" },
  { seconds: 86_400, name: "24 hours", effect: "Valid for 1 more day" },
  { seconds: 259_200, name: "3 days", effect: "Valid for 3 more days" },
  { seconds: 604_800, name: "7 days", effect: "Valid for 7 more days" },
] as const;
export type GraceSeconds = (typeof GRACE_PERIODS)[number]["seconds"];

type State = NonNullable<Credential["state"]>;

/** The words for where a credential is in its life. */
export const STATES: Record<State, { tone: Tone; name: string }> = {
  active: { tone: "good", name: "active" },
  in_grace: { tone: "warn", name: "in grace" },
  expired: { tone: "quiet", name: "expired" },
  revoked: { tone: "quiet", name: "revoked" },
};

/** What people call it: its label, else its agent, else how its value begins. */
export function nameOf({ label, agent_name: agent, prefix }: Credential): string {
  return label || agent || `${prefix}…`;
}

export function hasEnded({ state }: Credential): boolean {
  return state === "expired" || state === "revoked";
}

function required(credential: Credential | undefined): Credential {
  if (!credential) throw new Error("an answer without a credential");
  return credential;
}
