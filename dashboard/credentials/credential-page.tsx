import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Loaded } from "../frame/states";
import { Ago } from "../parts/time";
import type { Collection } from "./collections";
import { type Credential, getCredential, hasEnded, type Made, nameOf } from "./credential";
import { CredentialState } from "./credentials-page";
import { RevokeSection } from "./revoke-section";
import { RotateSection } from "./rotate-section";
import { ShownOnce } from "../parts/shown-once";

const EVERY_MS = 5_000;

/** One API key or agent token: what it is, where it comes from, and how to replace or end it. */
export function CredentialPage({ collection, id }: { collection: Collection; id: string }) {
  const { path, title, short, base } = collection;
  const one = useResource((signal) => getCredential(collection, id, signal), [base, id], {
    everyMs: EVERY_MS,
  });
  const [made, setMade] = useState<Made>();
  const name = one.value ? nameOf(one.value) : title;
  return (
    <Page title={name} parent={{ path, name: title }}>
      <Loaded of={one} what={`this ${short}`}>
        {(credential) => (
          <>
            <Facts collection={collection} credential={credential} />
            {!hasEnded(credential) && credential.replaced_by === "" && (
              <RotateSection collection={collection} credential={credential} onMade={setMade} />
            )}
            {!hasEnded(credential) && (
              <RevokeSection
                collection={collection}
                credential={credential}
                onRevoked={one.reload}
              />
            )}
          </>
        )}
      </Loaded>
      {made && (
        <ShownOnce
          title={`The new ${short}`}
          values={[{ label: `New ${short}`, value: made.value }]}
          warning={`The new ${short} is shown once — copy it before closing the dialog.`}
          onClose={() => {
            setMade(undefined);
            one.reload();
          }}
        />
      )}
    </Page>
  );
}

function Facts({ collection, credential }: { collection: Collection; credential: Credential }) {
  const { prefix, scopes, owner, agent_name: agent, replaces, replaced_by: next } = credential;
  const facts: [string, ComponentChildren][] = [
    ["State", <CredentialState credential={credential} />],
    ["Begins with", <code>{prefix}…</code>],
    ...(agent ? [["Agent", agent] satisfies [string, string]] : []),
    ["Owner", owner],
    ["Last used", <Ago at={credential.last_used_at} />],
    ["Made", <Ago at={credential.created_at} />],
    ...(collection.short === "key"
      ? ([["May", scopes.length === 0 ? "all that its owner may" : scopes.join(", ")]] as const)
      : []),
    ...(replaces ? ([["Replaced", <Link {...{ collection, id: replaces }} />]] as const) : []),
    ...(next ? ([["Replaced by", <Link {...{ collection, id: next }} />]] as const) : []),
  ].map(([term, what]) => [term, what] as [string, ComponentChildren]);
  return (
    <dl class="facts">
      {facts.map(([term, what]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}

function Link({ collection, id }: { collection: Collection; id: string }) {
  return <a href={`${collection.path}/${id}`}>{id.slice(0, 8)}…</a>;
}
