import { parseStackOptions, usageAskedFor, UsageError } from "./stack/options";
import { type Say, type Stack, startStack } from "./stack/stack";
import { takeTour } from "./tour/tour";
import { tell } from "./tour/tell";

const say: Say = (line) => void process.stdout.write(`${line}\n`);

/** The system on this machine, with one rekey before your eyes, until Ctrl-C. */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const usage = usageAskedFor(args);
  if (usage) {
    process.stdout.write(usage);
    return 0;
  }
  const options = parseStackOptions(args, false);
  const stopped = new Promise<void>((resolve) => {
    const stop = () => {
      resolve();
    };
    process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", stop);
  });
  const stack = await startStack(options, say);
  try {
    const touring = takeTour(stack, say).then((tour) => {
      tell(tour, say);
      invite(stack);
    });
    await Promise.race([stopped, touring]);
    await stopped;
    return 0;
  } finally {
    say("\nstopping");
    await stack.stop();
  }
}

function invite({ place, vms }: Stack): void {
  say("");
  say("Everything is running:");
  say(`  gateway   http://${place.gateway}`);
  say(`  dashboard http://${place.gateway}/ : sign in with what bin/murmur auth token prints`);
  say(`  catalog   ${place.catalog}`);
  say(`  rotation  ${place.rotation}`);
  if (place.kafkaBrokers) say(`  kafka     ${place.kafkaBrokers}`);
  if (place.vault) say(`  vault     ${place.vault.address}`);
  for (const { name, runDir } of vms) say(`  ${name.padEnd(9)} env files below ${runDir}/agents`);
  say(`  logs      ${place.logDir}`);
  say("");
  say("Now type, in another terminal:");
  say(`  export MURMUR_CONFIG=${place.configFile}`);
  say("  bin/murmur ls");
  say("  echo new-value | bin/murmur secret set DEMO_TOKEN");
  say("  bin/murmur rekey fix-auth");
  say("  bin/murmur status fix-auth");
  say("  bin/murmur --help");
  say(
    `  curl -H "authorization: Bearer $(bin/murmur auth token)" http://${place.gateway}/v1/secrets`,
  );
  say("");
  say("Ctrl-C stops everything.");
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`start: ${error instanceof Error ? error.message : "failed"}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
