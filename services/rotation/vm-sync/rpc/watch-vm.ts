import { randomUUID } from "node:crypto";
import type {
  VmHello as HelloMessage,
  VmUpdate,
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
 * as long as the stream lives; another hello of the same life asks for the whole state again. Ends when the VM does, when the stream is closed from this side, or
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
  const connection = { replicaId: deps.replicaId, streamId };
  await deps.intake.hello(hello, connection);
  const ref = { tenantId: vm.tenantId, vmId: vm.id };
  const stream = deps.streams.register(ref, (response) => conversation.send(response));
  const takeHello = async (said: HelloMessage) => {
    const reports = parseReports(said.agents, hello.from);
    await deps.intake.update({ applied: [], failed: [], reports });
    await sendWholeState(deps, ref, stream);
  };
  const takeHelloAgain = async (said: HelloMessage) => {
    const again = parseHello(said, vm);
    if (!isSameLife(again, hello))
      throw invalid("hello", "hello must be of the life that opened the stream");
    await deps.intake.hello(again, connection);
    stream.hold();
    await takeHello(said);
  };
  try {
    await takeHello(message);
    await Promise.race([
      listen(requests, {
        hello: takeHelloAgain,
        update: (said) => deps.intake.update(parseUpdate(said, hello.from)),
      }),
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

function isSameLife({ from: one }: VmHello, { from: other }: VmHello): boolean {
  const isSameName = one.incarnationName === other.incarnationName;
  return isSameName && one.incarnation === other.incarnation && one.bootId === other.bootId;
}

async function listen(
  requests: AsyncIterator<WatchVmRequest>,
  take: { hello(said: HelloMessage): Promise<void>; update(said: VmUpdate): Promise<void> },
): Promise<void> {
  for (let next = await requests.next(); !next.done; next = await requests.next()) {
    const { message } = next.value;
    if (message?.$case === "hello") await take.hello(message.value);
    else if (message?.$case === "update") await take.update(message.value);
    else throw invalid("message", "hello or update is required");
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
