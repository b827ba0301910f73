import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Empty, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { type Column, Table } from "../parts/table";
import { Ago, Countdown } from "../parts/time";
import type { Collection } from "./collections";
import { CreateCredential } from "./create-credential";
import { type Credential, listCredentials, nameOf, STATES } from "./credential";

const EVERY_MS = 10_000;

/** All API keys, or all agent tokens. */
export function CredentialsPage({ collection }: { collection: Collection }) {
  const { title, one, about } = collection;
  const [includeEnded, setIncludeEnded] = useState(false);
  const [isMaking, setMaking] = useState(false);
  const list = useResource(
    (signal) => listCredentials(collection, includeEnded, signal),
    [collection.base, includeEnded],
    { everyMs: EVERY_MS },
  );
  const make = (
    <Button kind="primary" onClick={() => setMaking(true)}>
      New {one}
    </Button>
  );
  return (
    <Page title={title} actions={make}>
      <p class="lead">{about}</p>
      <label class="check">
        <input
          type="checkbox"
          checked={includeEnded}
          onInput={(event) => setIncludeEnded(event.currentTarget.checked)}
        />
        Show those that have ended, too
      </label>
      <Loaded of={list} what={`${one}s`}>
        {(credentials) =>
          credentials.length === 0 ? (
            <Empty title={`No ${one} yet`}>{make}</Empty>
          ) : (
            <Table
              caption={title}
              columns={columnsOf(collection)}
              rows={credentials}
              keyOf={({ credential_id: id }) => id}
            />
          )
        }
      </Loaded>
      {isMaking && (
        <CreateCredential
          collection={collection}
          onClose={() => {
            setMaking(false);
            list.reload();
          }}
        />
      )}
    </Page>
  );
}

function columnsOf({ path, short }: Collection): Column<Credential>[] {
  return [
    {
      name: short === "key" ? "Key" : "Token",
      of: (row) => (
        <a href={`${path}/${row.credential_id}`}>
          <strong>{nameOf(row)}</strong>
          <br />
          <code>{row.prefix}…</code>
        </a>
      ),
    },
    { name: "State", of: (row) => <CredentialState credential={row} /> },
    { name: "Owner", of: ({ owner }) => owner },
    { name: "Last used", of: ({ last_used_at: at }) => <Ago at={at} /> },
    { name: "Made", of: ({ created_at: at }) => <Ago at={at} /> },
  ];
}

/** With what is left of its time. */
export function CredentialState({ credential }: { credential: Credential }) {
  const { tone, name } = STATES[credential.state ?? "active"];
  const { expires_at: expiresAt, state } = credential;
  const isEnding = expiresAt !== undefined && (state === "active" || state === "in_grace");
  return (
    <>
      <Badge tone={tone}>{name}</Badge>
      {isEnding && (
        <span class="quiet">
          {" "}
          ends in <Countdown until={expiresAt} />
        </span>
      )}
    </>
  );
}
