import { useState } from "preact/hooks";
import { type ApiError, api, answerOf } from "../api/client";
import { useResource } from "../api/resource";
import type { components } from "../api/rest-types";
import { Page } from "../frame/page";
import { capital, Empty, Loaded } from "../frame/states";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { type Column, Table } from "../parts/table";
import { Ago } from "../parts/time";

export type VmStatus = components["schemas"]["VmStatus"];

const EVERY_MS = 5_000;

export async function listVms(signal: AbortSignal): Promise<VmStatus[]> {
  return (await answerOf(api.GET("/v1/vm-statuses", { signal }))).vms;
}

/** The machines that agents run on. */
export function VmsPage() {
  const [removing, setRemoving] = useState<VmStatus>();
  const vms = useResource(listVms, [], { everyMs: EVERY_MS });
  const columns: Column<VmStatus>[] = [
    { name: "VM", of: ({ vm_name: name }) => <strong>{name}</strong> },
    {
      name: "State",
      of: ({ connected }) =>
        connected ? <Badge tone="good">connected</Badge> : <Badge tone="bad">away</Badge>,
    },
    { name: "Last seen", of: ({ last_seen_at: at }) => <Ago at={at} /> },
    { name: "Agents", of: ({ agents_living: living }) => living },
    {
      name: "Behind",
      of: ({ agents_behind: behind }) =>
        behind > 0 ? <Badge tone="warn">{String(behind)}</Badge> : behind,
    },
    { name: "", of: (vm) => <Button onClick={() => setRemoving(vm)}>Remove…</Button> },
  ];
  return (
    <Page title="VMs">
      <p class="lead">Each runs a daemon that keeps the environments of its agents current.</p>
      <Loaded of={vms} what="VMs">
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No VM yet">
              <p>
                <code>murmur vms join NAME</code> prints what to run on it.
              </p>
            </Empty>
          ) : (
            <Table caption="VMs" columns={columns} rows={rows} keyOf={({ vm_id: id }) => id} />
          )
        }
      </Loaded>
      {removing && (
        <RemoveVm
          vm={removing}
          onClose={() => {
            setRemoving(undefined);
            vms.reload();
          }}
        />
      )}
    </Page>
  );
}

function RemoveVm({ vm, onClose }: { vm: VmStatus; onClose: () => void }) {
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      await answerOf(api.DELETE("/v1/vms/{name}", { params: { path: { name: vm.vm_name } } }));
      onClose();
    } catch (error) {
      setProblem(`${capital((error as ApiError).message)}.`);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Remove ${vm.vm_name}?`} onClose={onClose}>
      <p>
        It gets nothing from then on, and its {vm.agents_living} living agents count as ended. What
        already stands on the machine is not taken from it: change those secrets.
      </p>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="actions">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" isBusy={isBusy} onClick={() => void submit()}>
          Remove
        </Button>
      </div>
    </Dialog>
  );
}
