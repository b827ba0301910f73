import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import { addressOf } from "../agents/agent";
import type { ApiError } from "../api/client";
import { useResource } from "../api/resource";
import { Page } from "../frame/page";
import { capital, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";
import { RekeyHolders } from "./rekey-holders";
import { deleteSecret, getSecretFacts, type Holder, type SecretVersion } from "./secret";
import { SetSecret } from "./set-secret";

const EVERY_MS = 5_000;

/** One secret: its versions, and who holds which. */
export function SecretPage({ name }: { name: string }) {
  const [asked, setAsked] = useState<"set" | "delete">();
  const facts = useResource((signal) => getSecretFacts(name, signal), [name], {
    everyMs: EVERY_MS,
  });
  const close = () => {
    setAsked(undefined);
    facts.reload();
  };
  return (
    <Page
      title={name}
      parent={{ path: "/secrets", name: "Secrets" }}
      actions={
        <>
          <Button kind="danger" onClick={() => setAsked("delete")}>
            Delete
          </Button>
          <Button kind="primary" onClick={() => setAsked("set")}>
            Set a new value
          </Button>
        </>
      }
    >
      <Loaded of={facts} what="this secret">
        {({ secret, versions, holders }) => (
          <>
            {secret?.description !== undefined && <p class="lead">{secret.description}</p>}
            <section>
              <h2>Who holds it</h2>
              <Holders holders={holders} current={secret?.version ?? 0} />
              {holders.length > 0 && <RekeyHolders secretName={name} />}
            </section>
            <section>
              <h2>Versions</h2>
              <Table
                caption="Versions"
                columns={VERSION_COLUMNS}
                rows={versions}
                keyOf={({ version }) => String(version)}
              />
            </section>
          </>
        )}
      </Loaded>
      {asked === "set" && <SetSecret name={name} onClose={close} />}
      {asked === "delete" && <DeleteSecret name={name} onClose={close} />}
    </Page>
  );
}

function Holders({ holders, current }: { holders: readonly Holder[]; current: number }) {
  if (holders.length === 0) return <p class="quiet">Nobody.</p>;
  const columns: Column<Holder>[] = [
    {
      name: "Agent",
      of: ({ agent }) => agent && <a href={addressOf(agent)}>{agent.path}</a>,
    },
    { name: "VM", of: ({ agent }) => agent?.vm_name },
    {
      name: "Version",
      of: ({ files }) =>
        files === undefined ? (
          <span class="quiet">none yet</span>
        ) : (
          <>
            {files.version} {files.version < current && <Badge tone="warn">an older one</Badge>}
          </>
        ),
    },
    { name: "Processes", of: ({ processes }) => processes.length },
  ];
  return (
    <Table
      caption="Holders"
      columns={columns}
      rows={holders}
      keyOf={({ agent }) => agent?.agent_id ?? ""}
    />
  );
}

const VERSION_COLUMNS: readonly Column<SecretVersion>[] = [
  { name: "Version", of: ({ version }) => version },
  {
    name: "State",
    of: ({ current, deleted, destroyed }) => {
      if (destroyed) return <Badge tone="quiet">destroyed</Badge>;
      if (deleted) return <Badge tone="quiet">deleted</Badge>;
      return current ? <Badge tone="good">current</Badge> : <Badge tone="quiet">older</Badge>;
    },
  },
  { name: "Written", of: ({ written_at: at }) => <Ago at={at} /> },
  { name: "By", of: ({ written_by: who }) => who },
];

function DeleteSecret({ name, onClose }: { name: string; onClose: () => void }) {
  const { route } = useLocation();
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      await deleteSecret(name);
      route("/secrets");
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Delete ${name}?`} onClose={onClose}>
      <p>
        No new generation has it from then on. Agents that have it keep it until they are rekeyed.
      </p>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="actions">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" isBusy={isBusy} onClick={() => void submit()}>
          Delete
        </Button>
      </div>
    </Dialog>
  );
}
