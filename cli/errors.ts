/** Wrong usage: exit status 2. The message says what was wrong, the hint what would be right. */
export class UsageError extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
    this.name = "UsageError";
  }
}

/** Something on this machine failed, or the outcome was not the one asked for: exit status 1. */
export class LocalError extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
    this.name = "LocalError";
  }
}

/** A service's error with a hint that only the command could know. */
export class HintedError extends Error {
  constructor(
    override readonly cause: unknown,
    readonly hint: string,
  ) {
    super("see cause");
    this.name = "HintedError";
  }
}
