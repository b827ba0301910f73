/** Stops whatever the run has started. */
// eslint-disable-next-line import-x/no-default-export -- jest calls the default export
export default async function globalTeardown(): Promise<void> {
  await globalThis.murmurPartsServer?.close();
}
