import { useState } from "preact/hooks";
import { Button } from "./button";
import { Dialog } from "./dialog";

interface ShownOnceProps {
  title: string;
  /** What is shown here and never again, with what each is. */
  values: readonly { label: string; value: string }[];
  /** The sentence that says so. */
  warning: string;
  onClose: () => void;
}

/** New values, until somebody says that they have them. They are in the page no longer than that. */
export function ShownOnce({ title, values, warning, onClose }: ShownOnceProps) {
  const [isSaved, setSaved] = useState(false);
  return (
    <Dialog title={title} onClose={isSaved ? onClose : undefined}>
      <p class="notice warn">{warning}</p>
      {values.map(({ label, value }) => (
        <Copied key={label} label={label} value={value} />
      ))}
      <label class="check">
        <input
          type="checkbox"
          checked={isSaved}
          onInput={(event) => setSaved(event.currentTarget.checked)}
        />
        I have saved it
      </label>
      <div class="actions">
        <Button kind="primary" disabled={!isSaved} onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}

function Copied({ label, value }: { label: string; value: string }) {
  const [said, setSaid] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(value).then(
      () => setSaid("Copied"),
      () => setSaid("The browser does not let this page copy: select it, and copy it by hand."),
    );
  return (
    <div class="copied">
      <span class="label">{label}</span>
      <code class="value" tabIndex={0} aria-label={label}>
        {value}
      </code>
      <Button onClick={() => void copy()}>Copy</Button>
      <span class="said" role="status">
        {said}
      </span>
    </div>
  );
}
