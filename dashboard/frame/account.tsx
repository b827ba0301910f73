import { useState } from "preact/hooks";
import { Button } from "../parts/button";
import { type Session, signOut } from "../session/session";

/** Who is signed in, and how to end that. */
export function Account({ session }: { session: Session }) {
  const [problem, setProblem] = useState<string>();
  const leave = (everywhere: boolean) =>
    signOut(everywhere).catch(() =>
      setProblem("Murmur cannot be reached: you are still signed in."),
    );
  return (
    <section class="account" aria-label="Your session">
      <p>
        <strong>{session.developer}</strong>
        <br />
        <span class="quiet">
          {session.role} of {session.tenant_id}
        </span>
      </p>
      <div class="actions">
        <Button onClick={() => void leave(false)}>Sign out</Button>
        <Button onClick={() => void leave(true)}>Sign out everywhere</Button>
      </div>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}
