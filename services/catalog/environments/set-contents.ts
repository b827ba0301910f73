import type { Db } from "../../../lib/postgres/db";
import { setBytes, setIdOf, type SecretRef } from "../domain/environment-set";
import type { GenerationStore } from "../store/generation-store";

/** What a set holds. */
export interface SetContent {
  refs: readonly SecretRef[];
  /** Bytes of names and values. */
  sizeBytes: number;
}

/** What sets hold, remembered: a set never changes under its id, which is the hash of its refs. */
export interface SetContents {
  /** By set id in hexadecimal; a set that is gone or does not match its id is absent. */
  read(tenantId: string, setIds: readonly Buffer[]): Promise<ReadonlyMap<string, SetContent>>;
}

const MAX_REMEMBERED_REFS = 200_000;

/** SetContents over a store. */
export function createSetContents(db: Db, store: Pick<GenerationStore, "readSets">): SetContents {
  let remembered = new Map<string, SetContent>();
  let count = 0;
  const remember = (name: string, content: SetContent) => {
    count += content.refs.length + 1;
    if (count > MAX_REMEMBERED_REFS) {
      remembered = new Map();
      count = content.refs.length + 1;
    }
    remembered.set(name, content);
  };
  return {
    async read(tenantId, setIds) {
      const found = new Map<string, SetContent>();
      const missing: Buffer[] = [];
      for (const setId of setIds) {
        const hexId = setId.toString("hex");
        const content = remembered.get(`${tenantId}\0${hexId}`);
        if (content) found.set(hexId, content);
        else missing.push(setId);
      }
      if (missing.length === 0) return found;
      for (const [hexId, refs] of await store.readSets(db, tenantId, missing)) {
        if (setIdOf(refs).toString("hex") !== hexId) continue;
        const content = { refs, sizeBytes: setBytes(refs) };
        remember(`${tenantId}\0${hexId}`, content);
        found.set(hexId, content);
      }
      return found;
    },
  };
}
