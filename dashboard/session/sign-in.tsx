import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { Button } from "../parts/button";
import { SecretField } from "../parts/field";
import { signIn } from "./session";

/** What whoever is not signed in sees, wherever they wanted to go. */
export function SignIn() {
  const [credential, setCredential] = useState("");
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    const value = credential.trim();
    if (value === "") {
      setProblem("Paste an API key or a token.");
      return;
    }
    setBusy(true);
    try {
      await signIn(value);
    } catch (error) {
      setProblem(sentenceOf(error));
      setBusy(false);
    }
    // It is in the session's cookie now, where no script can read it, or it was wrong.
    setCredential("");
  };
  return (
    <main class="sign-in" id="main">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p class="brand">
          <img src="/assets/icon.svg" alt="" width="28" height="28" /> Murmur
        </p>
        <h1>Sign in</h1>
        <SecretField
          label="API key or token"
          hint={
            <>
              An API key begins with <code>mur_key_</code>. Without one, run{" "}
              <code>murmur auth token</code> and paste what it prints.
            </>
          }
          value={credential}
          onInput={setCredential}
          problem={problem}
          autofocus
        />
        <Button kind="primary" type="submit" isBusy={isBusy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof ApiError)) return "Murmur cannot be reached.";
  return error.status === 401
    ? "This key or token is not known here, or is no longer valid."
    : error.message;
}
