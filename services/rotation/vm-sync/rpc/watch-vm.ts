import { randomUUID } from "node:crypto";
import type {
  VmHello as HelloMessage,
  WatchVmRequest,
  WatchVmResponse,
} from "../../../../gen/murmur/rotation/v1/vm_sync";
import { deadlineExceeded, invalid } from "../../../../lib/errors";
import type { CallContext, ServerConversation } from "../../../../lib/grpc/context";
import type { VmPrincipal } from "../../../../lib/identity/principal";
import { replicaBehind } from "../../announce/heartbeats";
import { sendWholeState, type WholeStateDeps } from "../../announce/whole-state";
import type { StreamTail } from "../../announce/stream-tail";
import type { VmStreams } from "../../announce/vm-streams";
import type { VmHello } from "../domain/evidence";
import type { Intake } from "../intake";
import type { VmStore } from "../store/evidence-store";
import { parseHello, parseReports, parseUpdate } from "./parse";

export interface WatchVmDeps extends WholeStateDeps {
  replicaId: string;
  intake: Intake;
  vms: Pick<VmStore, "disconnect">;
  streams: VmStreams;
  tail: Pick<StreamTail, "isBehind">;
}

type Conversation = ServerConversation<WatchVmRequest, WatchVmResponse>;

/** A VM that opens a stream says hello within this time. */
const HELLO_TIMEOUT_MS = 10_000;

/**
 * The standing conversation with one VM: hello, then register → read → send, then what it says for
 * as long as the stream lives. Ends when the VM does, when the stream is closed from this side, or
 * with the failure of taking in what it said: it comes back and says hello again.
 */
export async function watchVm(
  deps: WatchVmDeps,
  conversation: Conversation,
  vm: VmPrincipal,
  context: CallContext,
): Promise<void> {
  const requests = conversation.requests[Symbol.asyncIterator]();
  const message = await firstHello(requests, context.signal);
  const hello = parseHello(message, vm);
  if (deps.tail.isBehind()) throw replicaBehind();
  const streamId = randomUUID();
  await deps.intake.hello(hello, { replicaId: deps.replicaId, streamId });
  const ref = { tenantId: vm.tenantId, vmId: vm.id };
  const stream = deps.streams.register(ref, (response) => conversation.send(response));
  try {
    const reports = parseReports(message.agents, hello.from);
    await deps.intake.update({ applied: [], failed: [], reports });
    await sendWholeState(deps, ref, stream);
    await Promise.race([
      listen(deps.intake, requests, hello),
      stream.closed,
      rejectWhenAborted(context.signal),
    ]);
  } finally {
    deps.streams.unregister(ref, stream);
    await deps.vms.disconnect(ref, streamId).catch((error: unknown) => {
      // The next hello says it, or the replica's beat stops.
      context.log.debug("disconnect was not noted", { error });
    });
  }
}

async function listen(
  intake: Intake,
  requests: AsyncIterator<WatchVmRequest>,
  { from }: VmHello,
): Promise<void> {
  for (let next = await requests.next(); !next.done; next = await requests.next()) {
    const { message } = next.value;
    if (message?.$case !== "update") throw invalid("message", "update is required after hello");
    await intake.update(parseUpdate(message.value, from));
  }
}

async function firstHello(
  requests: AsyncIterator<WatchVmRequest>,
  signal: AbortSignal,
): Promise<HelloMessage> {
  const inTime = AbortSignal.timeout(HELLO_TIMEOUT_MS);
  const first = await Promise.race([
    requests.next(),
    rejectWhenAborted(signal),
    rejectWhenAborted(inTime, deadlineExceeded("hello did not come in time")),
  ]);
  const message = first.done ? undefined : first.value.message;
  if (message?.$case !== "hello") throw invalid("hello", "hello must be the first message");
  return message.value;
}

function rejectWhenAborted(signal: AbortSignal, reason?: Error): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = () => {
      reject(reason ?? (signal.reason as Error));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
