import { useLocation } from "preact-iso";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Session } from "../session/session";
import { Account } from "./account";

const PLACES = [
  { path: "/", name: "Overview" },
  { path: "/agents", name: "Agents" },
  { path: "/rollouts", name: "Rollouts" },
  { path: "/secrets", name: "Secrets" },
  { path: "/keys", name: "API Keys" },
  { path: "/tokens", name: "Agent tokens" },
  { path: "/vms", name: "VMs" },
  { path: "/people", name: "People" },
  { path: "/audit", name: "Audit" },
] as const;

/** What is around every page: where one can go, and who one is. */
export function Frame({ session, children }: { session: Session; children: ComponentChildren }) {
  const { path } = useLocation();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  return (
    <div class="frame">
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href="/">
          <img src="/assets/icon.svg" alt="" width="24" height="24" /> Murmur
        </a>
        <button
          type="button"
          class="button plain menu"
          aria-expanded={isOpen}
          aria-controls="places"
          onClick={() => setOpen(!isOpen)}
        >
          Menu
        </button>
        <nav id="places" class={isOpen ? "places open" : "places"} aria-label="Pages">
          <ul>
            {PLACES.map((place) => (
              <li key={place.path}>
                <a href={place.path} aria-current={isAt(path, place.path) ? "page" : undefined}>
                  {place.name}
                </a>
              </li>
            ))}
          </ul>
          <Account session={session} />
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function isAt(path: string, place: string): boolean {
  return place === "/" ? path === "/" : path === place || path.startsWith(`${place}/`);
}
