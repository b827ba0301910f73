import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface PageProps {
  title: string;
  /** The page that this one is part of. */
  parent?: { path: string; name: string };
  /** What is done with all of it, such as making a new one. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** One page: its name is the window's, and what a screen reader says first. */
export function Page({ title, parent, actions, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Murmur`;
  }, [title]);
  useEffect(() => {
    // The first page of a visit leaves the focus where the browser puts it.
    if (document.activeElement !== document.body) heading.current?.focus();
  }, []);
  return (
    <article class="page">
      <header class="head">
        <div>
          {parent && (
            <a class="parent" href={parent.path}>
              {parent.name}
            </a>
          )}
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
        </div>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </article>
  );
}
