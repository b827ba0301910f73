import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import type { Resource } from "../api/resource";
import { Button } from "../parts/button";

interface LoadedProps<T> {
  of: Resource<T>;
  /** What is being read, such as "API keys". */
  what: string;
  children: (value: T) => ComponentChildren;
}

/** What was read; before that, or when it cannot be, what there is to say about it. */
export function Loaded<T>({ of: { value, error, reload }, what, children }: LoadedProps<T>) {
  if (value === undefined)
    return error ? <Failed error={error} what={what} reload={reload} /> : <Loading what={what} />;
  return (
    <>
      {error && (
        <p class="notice warn" role="status">
          {sentenceOf(error)} What you see may be old. <Button onClick={reload}>Try again</Button>
        </p>
      )}
      {children(value)}
    </>
  );
}

function Loading({ what }: { what: string }) {
  return (
    <div class="loading" role="status">
      <span class="unseen">Loading {what}</span>
      <div class="bone" />
      <div class="bone" />
      <div class="bone" />
    </div>
  );
}

function Failed({ error, what, reload }: { error: ApiError; what: string; reload: () => void }) {
  return (
    <div class="empty" role="alert">
      <h2>{titleOf(error, what)}</h2>
      <p>{sentenceOf(error)}</p>
      {error.status !== 403 && error.status !== 404 && <Button onClick={reload}>Try again</Button>}
    </div>
  );
}

function titleOf({ status }: ApiError, what: string): string {
  if (status === 0) return "Offline";
  if (status === 403) return `You may not see ${what}`;
  if (status === 404) return "Not found";
  return `No ${what} for now`;
}

function sentenceOf(error: ApiError): string {
  if (error.status === 0)
    return "Murmur cannot be reached. This page goes on by itself when it can.";
  if (error.status === 403) return `${capital(error.message)}. An owner can give you the role.`;
  return `${capital(error.message)}.`;
}

/** When there is nothing in a list yet: what it is for, and how to begin. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A sentence of the service as one on a page. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
