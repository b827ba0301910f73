import { type Part } from "../../dev/parts/part";
import { startPostgres } from "../../dev/parts/postgres";
import { createDatabaseMaker, type DatabaseMaker } from "./database-maker";

/** What a worker is told: addresses and tokens of a part. */
export type Provided = Record<string, string>;

export interface PartKeeper {
  provide(what: string, args: string[]): Promise<Provided>;
  close(): Promise<void>;
}

/** Starts each part at most once and remembers it until the end of the run. */
export function createPartKeeper(): PartKeeper {
  const started = new Map<string, Promise<Provided>>();
  const parts: Part[] = [];
  let maker: Promise<DatabaseMaker> | undefined;

  const once = (name: string, start: () => Promise<Provided>) => {
    const running = started.get(name) ?? start();
    started.set(name, running);
    return running;
  };
  const keep = <P extends Part>(part: P): P => {
    parts.push(part);
    return part;
  };
  const postgres = async () => {
    const { url, directory } = keep(await startPostgres({ durable: false }));
    return { url, directory };
  };
  const makeDatabase = async (services: string[]) => {
    maker ??= once("postgres", postgres).then(({ url = "" }) => createDatabaseMaker(url));
    return { url: await (await maker).make(services) };
  };

  return {
    provide: async (what, args) => {
      if (what === "database") return makeDatabase(args);
      if (what === "postgres") return once("postgres", postgres);
      throw new Error(`no part named "${what}"`);
    },
    close: async () => {
      await (await maker)?.close();
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
