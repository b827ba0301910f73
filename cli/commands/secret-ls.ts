import { type Run } from "../command";
import { listSecrets } from "../secrets-list";

export const run: Run = listSecrets;
