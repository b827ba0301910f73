import type { Say } from "../stack/stack";
import type { Sighting } from "./observer";
import type { Tour } from "./tour";

/** Tells what was seen, process by process. */
export function tell({ result, before, after, commandMs, reads }: Tour, say: Say): void {
  say("");
  say("process         pid   started at tick   before         after");
  for (const sighting of before)
    say(
      row(
        sighting,
        after.find(({ pid }) => pid === sighting.pid),
      ),
    );
  say("");
  say(
    `${result.on_new} of ${result.processes} processes of ${result.agents} agents use the new value;`,
  );
  const byEnvironment = after.filter(({ isByEnvironment }) => isByEnvironment).length;
  say(`${byEnvironment} of them read no file: their own environment changed while they ran;`);
  say(`${result.restarted} were restarted; ${result.torn} of ${reads} reads mixed two sets.`);
  say(
    `${Math.round(result.rekey_ms)} ms from typing the command to the last process on the new value ` +
      `(the command itself: ${Math.round(commandMs)} ms; woken by ${result.woken_by}, keys by ${result.key_provider}).`,
  );
}

function row(before: Sighting, after: Sighting | undefined): string {
  const isSame = after?.startTicks === before.startTicks;
  const now = after && isSame ? after.fingerprint : "gone";
  return [
    before.program.padEnd(10),
    String(before.pid).padStart(9),
    before.startTicks.padStart(17),
    `  ${before.fingerprint} → ${now}`,
  ].join(" ");
}
