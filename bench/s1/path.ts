/** One change on its way to the readers, microseconds. */
export interface Passage {
  /** From the database's clock in the committing statement until the last reader read. */
  committedToReadUs: number;
  /** From the call until the last ack was stored, by the database's clock. */
  calledToAckedUs: number;
}

/** A tree of agents that is changed as one. */
export type Tree = "one" | "ten";

/** What is compared: the product, or the yardstick. */
export interface Path {
  /** Carries a round to all agents of a tree; resolves when all have read it and acks are stored. */
  change(tree: Tree, round: number): Promise<Passage>;
  stop(): Promise<void>;
}

export const TREE_SIZES: Record<Tree, number> = { one: 1, ten: 10 };
