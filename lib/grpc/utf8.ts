import { configureTextEncoding } from "@bufbuild/protobuf/wire";

/** Makes protobuf strings that are not UTF-8 a decoding error, as the proto3 specification asks. */
export function useStrictUtf8(): void {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- its successor, replacing the global TextDecoder, would change every other user
  configureTextEncoding({
    encodeUtf8: (text) => encoder.encode(text),
    encodeUtf8Into: (text, bytes) => encoder.encodeInto(text, bytes),
    decodeUtf8: (bytes) => decoder.decode(bytes),
    checkUtf8: (text) => decoder.decode(encoder.encode(text)) === text,
  });
}
