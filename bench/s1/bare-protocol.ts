import { deserialize, serialize } from "node:v8";

/** What the yardstick's processes say to each other. */
export interface Change {
  round: number;
  /** Directories of the agents. */
  agents: string[];
}

export interface SealedAgent {
  agent: string;
  iv: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

export interface Push {
  round: number;
  agents: SealedAgent[];
}

export interface Ack {
  round: number;
  agents: string[];
}

/** By the database's clock, microseconds since the epoch. */
export interface ChangeAnswer {
  committedUs: number;
  ackedUs: number;
}

const codec = { serialize: (value: unknown) => serialize(value), deserialize };

const method = (path: string, isStream: boolean) => ({
  path,
  requestStream: isStream,
  responseStream: isStream,
  requestSerialize: codec.serialize,
  requestDeserialize: codec.deserialize as (bytes: Buffer) => unknown,
  responseSerialize: codec.serialize,
  responseDeserialize: codec.deserialize as (bytes: Buffer) => unknown,
});

export const BARE_SERVICE = {
  change: method("/bench.Bare/Change", false),
  watch: method("/bench.Bare/Watch", true),
};

/** Known to server and daemon: agreeing on a key is no part of the path. */
export const BARE_KEY = Buffer.alloc(32, 7);
