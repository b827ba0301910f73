import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { capital } from "../frame/states";
import { Button } from "../parts/button";
import type { Collection } from "./collections";
import {
  type Credential,
  GRACE_PERIODS,
  type GraceSeconds,
  type Made,
  rotateCredential,
} from "./credential";

interface RotateSectionProps {
  collection: Collection;
  credential: Credential;
  onMade: (made: Made) => void;
}

/** Replaces a credential. For how long the old one lives is always a choice of whoever rotates. */
export function RotateSection({ collection, credential, onMade }: RotateSectionProps) {
  const { short, rotate } = collection;
  const [grace, setGrace] = useState<GraceSeconds>();
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    if (grace === undefined) {
      setProblem("Choose how long the old one stays valid.");
      return;
    }
    setBusy(true);
    try {
      onMade(await rotateCredential(collection, credential.credential_id, grace));
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
    }
    setBusy(false);
  };
  return (
    <section class="card" aria-labelledby="rotate">
      <h2 id="rotate">Rotate</h2>
      <p>
        A new {short} is made at once, with the same{" "}
        {short === "key" ? "label and scopes" : "agent and label"}. The old one goes on for as long
        as you choose, then stops by itself.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void submit();
        }}
      >
        <fieldset class="choices" aria-describedby={problem ? "rotate-problem" : undefined}>
          <legend>Grace period for the old {short}</legend>
          {GRACE_PERIODS.map(({ seconds, name, effect }) => (
            <label key={seconds} class="choice">
              <input
                type="radio"
                name="grace"
                value={seconds}
                checked={grace === seconds}
                onInput={() => {
                  setGrace(seconds);
                  setProblem(undefined);
                }}
              />
              <span>
                <strong>{name}</strong>
                <span class="quiet">{effect}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {problem !== undefined && (
          <p class="problem" id="rotate-problem" role="alert">
            {problem}
          </p>
        )}
        <Button kind="primary" type="submit" isBusy={isBusy}>
          {rotate}
        </Button>
      </form>
    </section>
  );
}
