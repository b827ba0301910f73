import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { Empty, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { type AuditRecord, listAudit, toCsv } from "./audit";

const EVERY_MS = 10_000;

const COLUMNS: readonly Column<AuditRecord>[] = [
  { name: "When", of: ({ record }) => <Ago at={record.time} /> },
  {
    name: "Who",
    of: ({ record }) => record.actor_id || <span class="quiet">{record.actor_kind}</span>,
  },
  { name: "Did", of: ({ record }) => <code>{record.action}</code> },
  {
    name: "To",
    of: ({ record }) => (
      <>
        <span class="quiet">{record.object_kind}</span> {record.object_id}
      </>
    ),
  },
  {
    name: "Outcome",
    of: ({ record }) => (
      <Badge tone={record.outcome === "ok" ? "good" : "bad"}>{record.outcome}</Badge>
    ),
  },
  { name: "From", of: ({ record }) => record.peer },
];

/** What was done and what was refused. */
export function AuditPage() {
  const [action, setAction] = useState("");
  const [actor, setActor] = useState("");
  const [refusedOnly, setRefusedOnly] = useState(false);
  const filter = { action, actor, refusedOnly };
  const records = useResource((signal) => listAudit(filter, signal), [action, actor, refusedOnly], {
    everyMs: EVERY_MS,
  });
  return (
    <Page
      title="Audit"
      actions={
        <Button disabled={!records.value?.length} onClick={() => download(records.value ?? [])}>
          Export as CSV
        </Button>
      }
    >
      <p class="lead">
        Every change and every refusal, in a chain that shows whether anybody altered it:{" "}
        <code>murmur audit verify</code> checks it.
      </p>
      <div class="filters">
        <TextField
          label="Action"
          hint="Its name, or how it begins, such as credential."
          value={action}
          onInput={setAction}
        />
        <TextField label="Who" hint="The whole name." value={actor} onInput={setActor} />
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={refusedOnly}
          onInput={(event) => setRefusedOnly(event.currentTarget.checked)}
        />
        Only what was refused
      </label>
      <Loaded of={records} what="the audit">
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="Nothing recorded">
              <p>Nothing fits these filters.</p>
            </Empty>
          ) : (
            <Table caption="Audit" columns={COLUMNS} rows={rows} keyOf={({ key }) => key} />
          )
        }
      </Loaded>
    </Page>
  );
}

/** Made here, so that the file has what the page shows. */
function download(records: readonly AuditRecord[]): void {
  const url = URL.createObjectURL(new Blob([toCsv(records)], { type: "text/csv" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: "audit.csv" });
  link.click();
  URL.revokeObjectURL(url);
}
