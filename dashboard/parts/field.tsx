import type { ComponentChildren, InputHTMLAttributes } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong with it, in a sentence. */
  problem?: string | undefined;
  value: string;
  onInput: (value: string) => void;
  autofocus?: boolean;
  placeholder?: string;
}

/** A line of text. */
export function TextField(props: FieldProps) {
  return <Field {...props} type="text" />;
}

/** A line that nobody looking over a shoulder reads, and that no browser remembers. */
export function SecretField(props: FieldProps) {
  return <Field {...props} type="password" />;
}

function Field({
  label,
  hint,
  problem,
  value,
  onInput,
  type,
  ...rest
}: FieldProps & { type: "text" | "password" }) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (problem !== undefined || rest.autofocus) input.current?.focus();
  }, [problem, rest.autofocus]);
  const described = [hint !== undefined && `${id}-hint`, problem !== undefined && `${id}-problem`];
  const attributes: Omit<InputHTMLAttributes, "type" | "role"> = {
    ...{ ref: input, id, value, autocomplete: "off", autocapitalize: "off", spellcheck: false },
    placeholder: rest.placeholder,
    "aria-invalid": problem !== undefined,
    "aria-describedby": described.filter((part) => part !== false).join(" ") || undefined,
    onInput: (event) => onInput(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {type === "password" ? (
        <input {...attributes} type="password" />
      ) : (
        <input {...attributes} type="text" />
      )}
      {problem !== undefined && (
        <p class="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}
