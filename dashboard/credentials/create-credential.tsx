import { useState } from "preact/hooks";
import { type ApiError } from "../api/client";
import { capital } from "../frame/states";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/field";
import { ShownOnce } from "../parts/shown-once";
import type { Collection } from "./collections";
import { createCredential, type Made } from "./credential";

/** Makes a credential, and shows its value once. */
export function CreateCredential({
  collection,
  onClose,
}: {
  collection: Collection;
  onClose: () => void;
}) {
  const { one, short } = collection;
  const [label, setLabel] = useState("");
  const [agentName, setAgentName] = useState("");
  const [scopes, setScopes] = useState("");
  const [made, setMade] = useState<Made>();
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    const list = scopes.split("\n").map((scope) => scope.trim());
    const wish = { label, agentName, scopes: list.filter(Boolean), expiresAt: undefined };
    try {
      setMade(await createCredential(collection, wish));
    } catch (problem) {
      setError(problem as ApiError);
      setBusy(false);
    }
  };
  if (made)
    return (
      <ShownOnce
        title={`The new ${one}`}
        values={[{ label: capital(one), value: made.value }]}
        warning={`The new ${short} is shown once — copy it before closing the dialog.`}
        onClose={onClose}
      />
    );
  return (
    <Dialog title={`New ${one}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void submit();
        }}
      >
        {short === "token" && (
          <TextField
            label="Agent name"
            hint="The agent that will present this token."
            value={agentName}
            onInput={setAgentName}
            problem={error?.ofField("agent_name")}
            autofocus
          />
        )}
        <TextField
          label="Label"
          hint={`What it is for, so that you know it again in a year.`}
          value={label}
          onInput={setLabel}
          problem={error?.ofField("label")}
          autofocus={short === "key"}
        />
        {short === "key" && <Scopes value={scopes} onInput={setScopes} />}
        {error && (
          <p class="problem" role="alert">
            {capital(error.message)}.
          </p>
        )}
        <div class="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" isBusy={isBusy}>
            Make the {short}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Scopes({ value, onInput }: { value: string; onInput: (value: string) => void }) {
  return (
    <div class="field">
      <label for="scopes">Scopes</label>
      <p class="hint" id="scopes-hint">
        One to a line, such as <code>GET /v1/secrets*</code>. Without any, the key may do what you
        may.
      </p>
      <textarea
        id="scopes"
        rows={3}
        spellcheck={false}
        aria-describedby="scopes-hint"
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </div>
  );
}
