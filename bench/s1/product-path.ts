import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { SecretDelivery, SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { type Stack, WORKSPACE } from "../../dev/stack/stack";
import { createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { createPool } from "../../lib/postgres/pool";
import { sensitive } from "../../lib/sensitive";
import { nowUs } from "./now-us";
import type { Observer } from "./observer";
import { type Path, type Tree, TREE_SIZES } from "./path";
import { SECRETS, secretName, secretValue } from "./set-of-round";

const TREES: Record<Tree, string[]> = { one: ["one"], ten: ["ten"] };
for (let at = 1; at < TREE_SIZES.ten; at++) TREES.ten.push(`ten/child-${at}`);

/** Spawns the agents of both trees on a running stack; each is a reader. */
export async function startProductPath(stack: Stack, observer: Observer): Promise<Path> {
  const { place, identities } = stack;
  const credentials = bearerCredentials(sensitive(await identities.issueToken()));
  const [catalog, rotation] = [place.catalog, place.rotation].map((address) =>
    openChannel({ address, credentials, timeoutMs: 10_000 }),
  );
  if (!catalog || !rotation) throw new Error("two addresses give two channels");
  const secrets = createClient(SecretServiceService, catalog);
  const rollouts = createClient(RolloutServiceService, rotation);
  const pool = createPool({ url: sensitive(place.postgresUrl), applicationName: "bench", max: 2 });
  const setSecret = (at: number, round: number) =>
    secrets.setSecret({
      ...{ name: secretName(at), plaintextValue: Buffer.from(secretValue(at, round)) },
      ...{ createdAt: undefined, delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT },
      requestId: "",
    });
  for (let at = 0; at < SECRETS; at++) await setSecret(at, 0);
  const agents = createClient(AgentServiceService, rotation);
  for (const tree of ["one", "ten"] as const) {
    await agents.spawnAgent({
      ...{ agentId: randomUUID(), workspace: WORKSPACE, slug: tree, vm: "", parentAgentId: "" },
      ...{ command: agentCommand(stack, observer, TREE_SIZES[tree]), workingDirectory: "/" },
      expectsSpawnSecrets: false,
    });
    await observer.lastSeenUs(TREES[tree], 0);
  }
  return {
    async change(tree, round) {
      await setSecret(0, round);
      const calledUs = nowUs();
      const { rollout } = await rollouts.rekeyAgent({
        ...{ workspace: WORKSPACE, path: tree, requestId: randomUUID(), reason: "" },
      });
      const readUs = await observer.lastSeenUs(TREES[tree], round);
      for await (const _ of rollouts.watchRollout({ rolloutId: rollout?.rolloutId ?? "" }));
      const { rows } = await pool.query<{ accepted: string; completed: string }>(
        `select (extract(epoch from accepted_at) * 1e6)::bigint::text as accepted,
           (extract(epoch from completed_at) * 1e6)::bigint::text as completed
         from rotation.rollouts where rollout_id = $1`,
        [rollout?.rolloutId],
      );
      const [row] = rows;
      return {
        committedToReadUs: readUs - Number(row?.accepted),
        calledToAckedUs: Number(row?.completed) - calledUs,
      };
    },
    async stop() {
      for (const channel of [catalog, rotation]) channel.close();
      await pool.close();
    },
  };
}

/** A reader; with its children first, which are readers too. */
function agentCommand({ place }: Stack, observer: Observer, size: number): string[] {
  const reader = [process.execPath, __filename, "role", "reader", observer.socketPath];
  const murmur = [process.execPath, join(place.root, "bin", "murmur")];
  const spawns = Array.from({ length: size - 1 }, (_, at) =>
    [...murmur, "spawn", `child-${at + 1}`, "--", ...reader].join(" "),
  );
  return ["sh", "-ec", [...spawns, `exec ${reader.join(" ")}`].join("\n")];
}
