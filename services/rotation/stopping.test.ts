import { eventually } from "../../test/harness/eventually";
import { startFleet } from "../../test/harness/fleet";

it("a replica that stops tells VMs and watchers to come back, and waits for nobody", async () => {
  const fleet = await startFleet();
  const vm = await fleet.connect(fleet.machine("vm-1"));
  await fleet.spawn("waiting");
  const { rollout } = await fleet.rekey("waiting");
  let isWatched = false;
  const watching = (async () => {
    const request = { rolloutId: rollout?.rolloutId ?? "" };
    for await (const _change of fleet.owner.rollouts.watchRollout(request)) isWatched = true;
  })();
  watching.catch(() => undefined);
  await eventually(() => {
    expect(isWatched && vm.received.length > 0).toBe(true);
  });
  fleet.rotation.interrupt();
  // Whoever waits for somebody ends by this, later than the test does.
  const stopped = fleet.rotation.rotation.server.stop(300_000);
  try {
    expect(await vm.ended).toMatchObject({ code: "UNAVAILABLE" });
    await expect(watching).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await stopped;
  } finally {
    await fleet.stop();
  }
});
