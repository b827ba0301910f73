import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import {
  type Ack,
  type AgentReport,
  type ComingGeneration,
  type VmDesiredState,
  type VmHello,
  VmSyncServiceService,
  type WatchVmResponse,
} from "../../gen/murmur/rotation/v1/vm_sync";
import { freePort } from "../../dev/parts/free-port";
import type { ServerConversation } from "../../lib/grpc/context";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import type { WatchVmRequest } from "../../gen/murmur/rotation/v1/vm_sync";
import { type AppError, unavailable } from "../../lib/errors";
import { silentLog } from "../../lib/log";

type Conversation = ServerConversation<WatchVmRequest, WatchVmResponse>;

/** A rotation service for one VM: it says what it is told to, and remembers what it hears. */
export class FakeVmSync {
  readonly hellos: VmHello[] = [];
  readonly acks: Ack[] = [];
  readonly reports: AgentReport[] = [];
  desired: VmDesiredState = { complete: true, agents: [], traceparent: "" };
  /** What it answers beside the desired state. */
  coming: ComingGeneration[] = [];
  heartbeatMs = 200;
  isRefusing = false;
  /** With what each hello is refused. */
  refusal: AppError | undefined;
  refused = 0;
  readonly #streams = new Set<Conversation>();
  #server: GrpcServer | undefined;

  get streams(): number {
    return this.#streams.size;
  }

  /** On a port that nobody else gets meanwhile, so that another can start there again. */
  async start(port?: number): Promise<number> {
    const paths = Object.values(VmSyncServiceService).map(
      ({ path }) => [path, { anyone: true }] as const,
    );
    const server = createGrpcServer({
      authenticate: () => Promise.resolve(undefined),
      access: Object.fromEntries(paths),
      log: silentLog,
      maxTimeoutMs: 5_000,
      descriptorSet: DESCRIPTOR_SET,
    });
    server.add(VmSyncServiceService, {
      watchVm: (conversation, context) => this.#watch(conversation, context.signal),
      syncVm: ({ hello, update }) => {
        if (this.isRefusing) throw unavailable("refusing");
        if (hello) this.#hear(hello);
        this.acks.push(...(update?.acks ?? []));
        this.reports.push(...(update?.agents ?? []));
        return Promise.resolve({ desired: this.desired, coming: { agents: this.coming } });
      },
      listVmStatuses: () => Promise.resolve({ vms: [] }),
    });
    this.#server = server;
    return server.listen(`127.0.0.1:${port ?? (await freePort())}`);
  }

  async stop(): Promise<void> {
    await this.#server?.stop(50);
    this.#streams.clear();
  }

  /** Tells every stream what is desired now. */
  async push(): Promise<void> {
    for (const stream of this.#streams)
      await stream.send({ message: { $case: "desired", value: this.desired } });
  }

  #hear(hello: VmHello): void {
    if (this.refusal) {
      this.refused++;
      throw this.refusal;
    }
    this.hellos.push(hello);
  }

  async #watch(conversation: Conversation, signal: AbortSignal): Promise<void> {
    if (this.isRefusing) throw unavailable("refusing");
    this.#streams.add(conversation);
    const heart = setInterval(() => {
      if (signal.aborted || this.heartbeatMs === Infinity) return;
      conversation
        .send({ message: { $case: "heartbeat", value: { watermarkAgeMs: 0n } } })
        .catch(() => undefined);
    }, 200);
    try {
      for await (const { message } of conversation.requests) {
        if (message?.$case === "hello") {
          this.#hear(message.value);
          await conversation.send({ message: { $case: "desired", value: this.desired } });
        } else if (message) {
          this.acks.push(...message.value.acks);
          this.reports.push(...message.value.agents);
        }
      }
    } finally {
      clearInterval(heart);
      this.#streams.delete(conversation);
    }
  }
}
