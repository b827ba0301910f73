import { rmSync } from "node:fs";
import { type Part } from "../../dev/parts/part";
import { startKafka } from "../../dev/parts/kafka";
import { startOpenBao } from "../../dev/parts/openbao";
import { preparePostgres, startPostgres } from "../../dev/parts/postgres";
import { bundleCli } from "./cli-bundle";
import { createDatabaseMaker, type DatabaseMaker } from "./database-maker";

/** What a worker is told: addresses and tokens of a part. */
export type Provided = Record<string, string>;

export interface PartKeeper {
  provide(what: string, args: string[]): Promise<Provided>;
  close(): Promise<void>;
}

/** Starts each part once and remembers it until the end of the run. */
export function createPartKeeper(): PartKeeper {
  const started = new Map<string, Promise<Provided>>();
  const parts: Pick<Part, "stop">[] = [];
  let maker: DatabaseMaker | undefined;

  const once = (name: string, start: () => Promise<Provided>) => {
    const known = started.get(name);
    if (known) return known;
    const running = start();
    started.set(name, running);
    // One that did not come up is tried again for the next who asks.
    running.catch(() => started.delete(name));
    return running;
  };
  const keep = <P extends Pick<Part, "stop">>(part: P): P => {
    parts.push(part);
    return part;
  };
  const prepared = () => {
    const directory = preparePostgres();
    const stop = () => {
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    };
    keep({ stop });
    return Promise.resolve({ directory });
  };
  const postgres = async () => {
    const { directory: copyOf = "" } = await once("prepared-postgres", prepared);
    const { url, directory } = keep(await startPostgres({ durable: false, copyOf }));
    return { url, directory };
  };
  const kafka = async () => {
    const brokers = process.env["MURMUR_TEST_KAFKA"];
    return { brokers: brokers ?? keep(await startKafka()).brokers };
  };
  const openbao = async () => {
    const address = process.env["MURMUR_TEST_VAULT"];
    if (address !== undefined) return { address, token: process.env["VAULT_TOKEN"] ?? "root" };
    const part = keep(await startOpenBao());
    return { address: part.address, token: part.token };
  };
  const cli = async () => ({ file: keep(await bundleCli()).file });
  const starters: Record<string, () => Promise<Provided>> = {
    ...{ postgres, kafka, openbao, cli },
    "prepared-postgres": prepared,
  };
  const makeDatabase = async (services: string[]) => {
    const { url = "" } = await once("postgres", postgres);
    maker ??= createDatabaseMaker(url);
    return { url: await maker.make(services) };
  };

  return {
    provide: async (what, args) => {
      if (what === "database") return makeDatabase(args);
      const start = starters[what];
      if (!start) throw new Error(`no part named "${what}"`);
      return once(what, start);
    },
    close: async () => {
      await maker?.close();
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
