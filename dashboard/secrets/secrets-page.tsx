import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Empty, Loaded } from "../frame/states";
import { Button } from "../parts/button";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { listSecrets, type Secret } from "./secret";
import { SetSecret } from "./set-secret";

const EVERY_MS = 15_000;

const COLUMNS: readonly Column<Secret>[] = [
  {
    name: "Secret",
    of: ({ name, description }) => (
      <a href={`/secrets/${encodeURIComponent(name)}`}>
        <strong>{name}</strong>
        {description !== undefined && description !== "" && (
          <>
            <br />
            <span class="quiet">{description}</span>
          </>
        )}
      </a>
    ),
  },
  { name: "Version", of: ({ version }) => version },
  {
    name: "Delivered",
    of: ({ delivery }) => (delivery === "file" ? "as a file" : "as a variable"),
  },
  { name: "Changed", of: ({ updated_at: at }) => <Ago at={at} /> },
  { name: "By", of: ({ updated_by: who }) => who },
];

/** What agents get in their environment. */
export function SecretsPage() {
  const [isSetting, setSetting] = useState(false);
  const secrets = useResource(listSecrets, [], { everyMs: EVERY_MS });
  const make = (
    <Button kind="primary" onClick={() => setSetting(true)}>
      New secret
    </Button>
  );
  return (
    <Page title="Secrets" actions={make}>
      <p class="lead">
        Values go in and never come out again here: agents get them in their environment, and nobody
        else.
      </p>
      <Loaded of={secrets} what="secrets">
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No secret yet">{make}</Empty>
          ) : (
            <Table caption="Secrets" columns={COLUMNS} rows={rows} keyOf={({ name }) => name} />
          )
        }
      </Loaded>
      {isSetting && (
        <SetSecret
          name={undefined}
          onClose={() => {
            setSetting(false);
            secrets.reload();
          }}
        />
      )}
    </Page>
  );
}
