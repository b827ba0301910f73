import type { ComponentChildren, MouseEventHandler } from "preact";

interface ButtonProps {
  kind?: "primary" | "danger" | "plain";
  type?: "button" | "submit";
  isBusy?: boolean;
  disabled?: boolean;
  onClick?: MouseEventHandler<HTMLButtonElement>;
  children: ComponentChildren;
}

/** While it is busy it keeps its focus, and a second press does nothing. */
export function Button({ kind, type = "button", isBusy, onClick, ...props }: ButtonProps) {
  return (
    <button
      class={`button ${kind ?? "plain"}`}
      type={type}
      aria-disabled={isBusy}
      aria-busy={isBusy}
      disabled={props.disabled}
      onClick={(event) => {
        if (isBusy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {props.children}
    </button>
  );
}
