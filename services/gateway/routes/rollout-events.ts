import { createHash } from "node:crypto";
import {
  RolloutServiceService,
  RolloutState,
  type WatchRolloutResponse,
} from "../../../gen/murmur/rotation/v1/rollouts";
import { messagesOf } from "../json/messages";
import { type JsonSchema, responseSchema } from "../json/schema";
import { toJson } from "../json/to-json";
import type { RouteKit } from "./rpc-route";
import type { RestAnswer, Route, ServerSentEvent } from "./route";

/** Then the client asks again and goes on where it was: nobody is watched for without end. */
const LONGEST_MS = 5 * 60_000;
const DONE = "done";
const { output: WATCHED } = messagesOf(RolloutServiceService.watchRollout);

/** A rollout as it converges, as server-sent events. */
export function rolloutEvents(
  { backends, components }: RouteKit,
  { path, tag }: { path: string; tag: string },
): Route {
  const schema = responseSchema(WATCHED, components);
  return {
    ...{ method: "GET", path, tag, operationId: "watchRollout", timeoutMs: LONGEST_MS },
    summary: "Follow a rollout by server-sent events",
    description: `Events \`progress\` have the rollout, and the targets that are new or changed; the last is \`${DONE}\`. With the id of the last event seen as \`Last-Event-ID\` the stream goes on from there: what was missed comes as the whole state, and 204 says that nothing more will come. It ends after 5 minutes; browsers ask again by themselves.`,
    params: { rollout_id: { type: "string" } },
    headers: { "Last-Event-ID": { type: "string" } },
    answers: {
      200: {
        description: "Events; each one's data is JSON as described.",
        schema: eventSchema(schema),
        mediaType: "text/event-stream",
      },
      204: { description: "The rollout was seen to be done." },
    },
    async handle({ params, header, on }): Promise<RestAnswer> {
      const rolloutId = String(params["rollout_id"]);
      const seen = header("last-event-id");
      const messages = backends.stream(RolloutServiceService.watchRollout, { rolloutId }, on);
      const events = toEvents(messages, seen)[Symbol.asyncIterator]();
      // Before there is an answer: what is refused is refused with its own status.
      const first = await events.next();
      if (first.done === true) return { status: 204 };
      return { status: 200, events: chain(first.value, events) };
    },
  };
}

/** Of one event of the stream. */
function eventSchema(data: JsonSchema): JsonSchema {
  const json = { contentMediaType: "application/json", contentSchema: data };
  return {
    type: "object",
    properties: {
      id: { type: "string" },
      event: { type: "string", enum: ["progress", DONE] },
      data: { type: "string", ...json },
    },
  };
}

/**
 * The id of an event is a digest of all that the client then knows: whichever replica it asks next, the
 * same state has the same id. The first message has the whole state; one that the client has seen is
 * passed over, so that the stream waits for news.
 */
async function* toEvents(
  messages: AsyncIterable<WatchRolloutResponse>,
  seen: string | undefined,
): AsyncGenerator<ServerSentEvent | undefined> {
  const state = createDigest();
  for await (const message of messages) {
    const data = toJson(WATCHED, message);
    const isDone = message.rollout?.state === RolloutState.ROLLOUT_STATE_COMPLETED;
    for (const [at, target] of message.targets.entries())
      state.set(target.agentId, (data["targets"] as unknown[])[at]);
    state.set("", data["rollout"]);
    const id = isDone ? `${state.id()}.${DONE}` : state.id();
    if (id !== seen) yield { id, event: isDone ? DONE : "progress", data };
    else if (!isDone) yield undefined;
  }
}

/** Goes on with a stream whose first item was taken; what is no event is for the connection alone. */
async function* chain(
  first: ServerSentEvent | undefined,
  rest: AsyncIterator<ServerSentEvent | undefined>,
): AsyncGenerator<ServerSentEvent> {
  try {
    if (first) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      if (next.value) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** A digest of named things, whatever the order in which they are set; each change costs one hash. */
function createDigest() {
  const hashes = new Map<string, Buffer>();
  const sum = Buffer.alloc(16);
  const add = (hash: Buffer) => {
    for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) ^ (hash[at] ?? 0);
  };
  return {
    set(name: string, value: unknown): void {
      const before = hashes.get(name);
      if (before) add(before);
      const hash = createHash("sha256")
        .update(JSON.stringify([name, value]))
        .digest();
      hashes.set(name, hash);
      add(hash);
    },
    id: () => sum.toString("base64url"),
  };
}
