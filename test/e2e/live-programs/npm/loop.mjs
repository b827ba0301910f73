// What `npm run` starts: npm, a shell, and this.
import { renameSync, writeFileSync } from "node:fs";

const { NOTES: notes } = process.env;
writeFileSync(`${notes}/npm.pid`, String(process.pid));
setInterval(() => {
  writeFileSync(`${notes}/npm.new`, process.env.DEMO_TOKEN);
  renameSync(`${notes}/npm.new`, `${notes}/npm`);
}, 20);
