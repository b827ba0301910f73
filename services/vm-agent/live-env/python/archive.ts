import { zipSync } from "fflate";

/**
 * The modules that a program finds by name, in this order: what programs import, perhaps hours after
 * their start, then what Python imports at each start.
 */
const FOUND_BY_NAME = ["murmur_env.py", "sitecustomize.py"];

/** In local time, as ZIP has it. */
const NO_TIME = new Date(1980, 0, 1);

/** Whether a file of the layer's folder belongs in the archive. */
export function isArchived(name: string): boolean {
  return FOUND_BY_NAME.includes(name);
}

/**
 * What PYTHONPATH names: a ZIP archive, not compressed, the same bytes for the same modules. In a
 * folder on the path, Python would look for each module that the program imports, by several system
 * calls; of an archive it knows what is in there. Byte code is put behind it later
 * (byte-code-program.ts), so that what is in it stays where it is: a program that read what the
 * archive has is still served by one that has grown.
 */
export function makeArchive(modules: ReadonlyMap<string, Buffer>): Buffer {
  const entries = FOUND_BY_NAME.flatMap((name) => {
    const content = modules.get(name);
    return content === undefined ? [] : [[name, new Uint8Array(content)] as const];
  });
  return Buffer.from(zipSync(Object.fromEntries(entries), { level: 0, mtime: NO_TIME }));
}
