/** The bytes of a response, for one that is made once and sent often. */
export class Encoded<Res> {
  /** Of which message they are; it is nowhere. */
  declare readonly of?: Res;

  constructor(readonly bytes: Buffer) {}
}

/** Serializes messages, and leaves bytes as they are. */
export function serializerOf<Res>(
  serialize: (message: Res) => Buffer,
): (response: Res | Encoded<Res>) => Buffer {
  return (response) => (response instanceof Encoded ? response.bytes : serialize(response));
}
