import { type Ownership } from "./agent-directory";
import { RECEIPTS_BYTES, RECEIPTS_FILE, RECEIPTS_MODE, temporaryName } from "./layout";
import { type PinnedDirectory } from "./pinned-directory";

/**
 * Makes the receipts, without any, in the place of whatever stands there. Whole under another name
 * first: a file of a wrong owner would stay for good.
 */
export function createReceipts(
  directory: PinnedDirectory,
  suffix: string,
  ownership: Ownership,
): void {
  const temporary = temporaryName(suffix);
  const file = { bytes: RECEIPTS_BYTES, mode: RECEIPTS_MODE, owner: ownership.file };
  directory.createSparse(temporary, file);
  directory.rename(temporary, RECEIPTS_FILE);
}

/**
 * Whether processes can leave receipts, whatever is in them. The agent's user owns the file, and a
 * file that it cut off takes none any more.
 */
export function canTakeReceipts(directory: PinnedDirectory, { file }: Ownership): boolean {
  const stat = directory.statOf(RECEIPTS_FILE);
  return (
    stat?.isFile() === true &&
    stat.size === RECEIPTS_BYTES &&
    (stat.mode & 0o7777) === RECEIPTS_MODE &&
    (!file || stat.uid === file.uid)
  );
}
