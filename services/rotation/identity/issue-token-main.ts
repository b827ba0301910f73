import { issueToken } from "./issue-token";

issueToken(process.argv.slice(2))
  .then((token) => {
    process.stdout.write(`${token}\n`);
  })
  .catch((error: unknown) => {
    process.stderr.write(`issue-token: ${error instanceof Error ? error.message : "failed"}\n`);
    process.exitCode = 1;
  });
