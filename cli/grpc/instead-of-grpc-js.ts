/**
 * Takes the place of `@grpc/grpc-js` in the CLI's bundle (dev/build.mjs): what generated code and
 * lib/grpc/status.ts touch of it when they are loaded. Calls go through light-client.ts.
 */
export enum status {
  OK,
  CANCELLED,
  UNKNOWN,
  INVALID_ARGUMENT,
  DEADLINE_EXCEEDED,
  NOT_FOUND,
  ALREADY_EXISTS,
  PERMISSION_DENIED,
  RESOURCE_EXHAUSTED,
  FAILED_PRECONDITION,
  ABORTED,
  OUT_OF_RANGE,
  UNIMPLEMENTED,
  INTERNAL,
  UNAVAILABLE,
  DATA_LOSS,
  UNAUTHENTICATED,
}

/** For what only servers do. */
export const Metadata = undefined;

export function makeGenericClientConstructor(): undefined {
  return undefined;
}
