import { useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { capital } from "../frame/states";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { SecretField, TextField } from "../parts/field";
import { setSecret } from "./secret";

interface SetSecretProps {
  /** Undefined: a new one. */
  name: string | undefined;
  onClose: () => void;
}

/** Takes a value. It is in the page until it is sent or the dialog is closed, and never shown. */
export function SetSecret({ name: fixed, onClose }: SetSecretProps) {
  const [name, setName] = useState(fixed ?? "");
  const [value, setValue] = useState("");
  const [description, setDescription] = useState("");
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      await setSecret(name, value, description);
      setValue("");
      onClose();
    } catch (problem) {
      setError(problem as ApiError);
      setBusy(false);
    }
  };
  return (
    <Dialog title={fixed === undefined ? "New secret" : `New value for ${fixed}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void submit();
        }}
      >
        {fixed === undefined && (
          <TextField
            label="Name"
            hint="As agents see it in their environment, such as NPM_TOKEN."
            value={name}
            onInput={setName}
            problem={error?.ofField("name")}
            autofocus
          />
        )}
        <SecretField
          label="Value"
          value={value}
          onInput={setValue}
          problem={error?.ofField("plaintext_value")}
          autofocus={fixed !== undefined}
        />
        {fixed === undefined && (
          <TextField
            label="Description"
            hint="What it is for. Everybody here can read it."
            value={description}
            onInput={setDescription}
            problem={error?.ofField("description")}
          />
        )}
        {error && (
          <p class="problem" role="alert">
            {capital(error.message)}.
          </p>
        )}
        <div class="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" isBusy={isBusy}>
            Set the secret
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
