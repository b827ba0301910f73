const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether documents may be fetched from a URL: by https, or on this machine. */
export function isSafeUrl(url: URL): boolean {
  if (url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url));
}

/** Whether a URL is on this machine by its name. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}

/**
 * The JSON document at a URL: within 5 seconds, of at most 256 KiB, without following a redirect. Throws
 * when there is none.
 */
export async function fetchJson(url: URL): Promise<unknown> {
  if (!isSafeUrl(url)) throw new Error(`${url.href} is neither https nor on this machine`);
  const response = await fetch(url, {
    headers: { accept: "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`${url.href} answered ${response.status}`);
  }
  return JSON.parse(await readBounded(url, response.body)) as unknown;
}

async function readBounded(url: URL, body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`${url.href} is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
