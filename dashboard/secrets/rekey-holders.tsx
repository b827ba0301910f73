import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { useResource } from "../api/resource";
import { capital, Loaded } from "../frame/states";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { type PreviewedChange, previewRekey, rekeyHolders } from "./secret";

/** Brings the newest version to everyone who holds the secret, after showing who that is. */
export function RekeyHolders({ secretName }: { secretName: string }) {
  const [isAsking, setAsking] = useState(false);
  return (
    <p>
      <Button onClick={() => setAsking(true)}>Rekey everyone who holds it…</Button>
      {isAsking && <Ask secretName={secretName} onClose={() => setAsking(false)} />}
    </p>
  );
}

function Ask({ secretName, onClose }: { secretName: string; onClose: () => void }) {
  const { route } = useLocation();
  const preview = useResource(() => previewRekey(secretName), [secretName]);
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      route(`/rollouts/${await rekeyHolders(secretName)}`);
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Rekey who holds ${secretName}`} onClose={onClose}>
      <Loaded of={preview} what="who would change">
        {({ changes, warnings }) => {
          const real = changes.filter((change) => namesOf(change).length > 0);
          const agents = real.flatMap((change) => change.agents);
          return (
            <>
              <p>
                {agents.length === 0
                  ? "Nothing would change for anybody: all who hold it have the newest version."
                  : `${agents.length} ${agents.length === 1 ? "agent gets" : "agents get"} a new generation, while they run.`}
              </p>
              {real.map((change) => (
                <p key={namesOf(change).join()}>
                  <strong>{namesOf(change).join(", ")}</strong> for{" "}
                  {change.agents.map(({ path }) => path).join(", ")}
                </p>
              ))}
              {warnings.map((warning) => (
                <p key={warning} class="notice warn">
                  {warning}
                </p>
              ))}
            </>
          );
        }}
      </Loaded>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" isBusy={isBusy} onClick={() => void submit()}>
          Rekey them
        </Button>
      </div>
    </Dialog>
  );
}

/** What a new generation has that the one before had not, or had otherwise, or no more. */
function namesOf(change: PreviewedChange): string[] {
  return [...change.changed_names, ...change.added_names, ...change.removed_names];
}
