import { type Run } from "../command";

export const run: Run = async ({ catalog, output }, call) => {
  const name = call.arg("name");
  const { vms } = await catalog();
  await vms.removeVm({ name });
  output.line(`Removed VM "${name}"`);
};
