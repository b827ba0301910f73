import { allPages } from "../all-pages";
import { type RunOf } from "../keys/kind";
import { credentialTable, credentialToJson } from "../keys/views";

export const runOf: RunOf =
  ({ kind, group }) =>
  async (context, call) => {
    const { output, clock } = context;
    const { credentials } = await context.rotation();
    const includeEnded = call.flag("all");
    const found = await allPages(
      (page) => credentials.listCredentials({ kind, includeEnded, ...page }),
      (page) => page.credentials,
    );
    if (call.flag("json")) output.json(found.map(credentialToJson));
    else {
      const view = { now: clock.now(), bold: output.style.bold, isTokens: group === "tokens" };
      output.lines(credentialTable(found, view));
    }
  };
