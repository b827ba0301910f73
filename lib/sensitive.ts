import { inspect } from "node:util";

const MASK = "[sensitive]";

/**
 * Holds a value that must never be printed. It shows as `[sensitive]` through `toString`,
 * `toJSON`, template strings and `util.inspect`; only `expose()` gives the value, and lint lists
 * the few files that may call it.
 */
export class Sensitive<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Keep the result in the narrowest scope there is. */
  expose(): T {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.toPrimitive](): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** Wraps a value so that it cannot be printed by accident. */
export function sensitive<T>(value: T): Sensitive<T> {
  return new Sensitive(value);
}
