import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { capital } from "../frame/states";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { roughly } from "../parts/time";
import type { Collection } from "./collections";
import { type Credential, nameOf, revokeCredential } from "./credential";

interface RevokeSectionProps {
  collection: Collection;
  credential: Credential;
  onRevoked: () => void;
}

/** Ends a credential without a successor, after asking once. */
export function RevokeSection({ collection, credential, onRevoked }: RevokeSectionProps) {
  const { short } = collection;
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const revoke = async () => {
    setBusy(true);
    try {
      await revokeCredential(collection, credential.credential_id);
      setAsking(false);
      onRevoked();
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
    }
    setBusy(false);
  };
  return (
    <section class="card" aria-labelledby="revoke">
      <h2 id="revoke">Revoke</h2>
      <p>Ends this {short} at once. Whoever still uses it is refused from then on.</p>
      <Button kind="danger" onClick={() => setAsking(true)}>
        Revoke now
      </Button>
      {isAsking && (
        <Dialog title={`Revoke ${nameOf(credential)}?`} onClose={() => setAsking(false)}>
          <p>{usedSentence(credential)} It cannot be made valid again.</p>
          {problem !== undefined && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <div class="actions">
            <Button onClick={() => setAsking(false)}>Keep it</Button>
            <Button kind="danger" isBusy={isBusy} onClick={() => void revoke()}>
              Revoke now
            </Button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

function usedSentence({ last_used_at: at }: Credential): string {
  if (at === undefined) return "It was never used.";
  return `It was last used ${roughly((Date.now() - Date.parse(at)) / 1_000)} ago.`;
}
