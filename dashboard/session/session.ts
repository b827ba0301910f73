import { signal } from "@preact/signals";
import { ApiError, api, answerOf, whenSignedOut } from "../api/client";

/** Undefined: nobody knows yet; null: nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);

// A session ends by itself, or by another browser.
whenSignedOut(() => (session.value = null));

/** Who is signed in here. */
export type Session = Awaited<ReturnType<typeof getSession>>;

const getSession = () => answerOf(api.GET("/v1/session"));

/** Asks who is signed in. Rejects when Murmur cannot be reached. */
export async function resumeSession(): Promise<void> {
  session.value = await getSession().catch(toNobody);
}

/** By an API key, or by the identity token of `murmur auth token`. Neither is kept by the browser. */
export async function signIn(credential: string): Promise<void> {
  const headers = { authorization: `Bearer ${credential}` };
  await answerOf(api.POST("/v1/session", { headers }));
  session.value = await getSession();
}

/** This browser alone, or all sessions of this person. */
export async function signOut(everywhere: boolean): Promise<void> {
  await answerOf(everywhere ? api.DELETE("/v1/sessions") : api.DELETE("/v1/session")).catch(
    toNobody,
  );
  session.value = null;
}

/** Who is signed out already has what they want. */
function toNobody(problem: unknown): null {
  if (problem instanceof ApiError && problem.status === 401) return null;
  throw problem;
}
