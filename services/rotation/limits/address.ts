import { isIPv4, isIPv6 } from "node:net";

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** Of an IPv6 address, the groups that a network has for itself. */
const NETWORK_GROUPS = 4;

/**
 * By what attempts from a peer are counted: its IPv4 address, or the /64 of its IPv6 address, of which
 * one customer usually has all. The port, which differs with every connection, is left out.
 */
export function networkOf(peer: string): string {
  const address = addressOf(peer);
  const [, mapped] = MAPPED.exec(address) ?? [];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (!isIPv6(address)) return address;
  return `${groupsOf(address).slice(0, NETWORK_GROUPS).join(":")}::/64`;
}

/** As grpc-js has it, the port follows a colon also where the address is not in brackets. */
function addressOf(peer: string): string {
  const [, bracketed] = /^\[([^\]]*)\](?::\d+)?$/.exec(peer) ?? [];
  const text = (bracketed ?? peer).replace(/%.*$/, "");
  if (bracketed !== undefined || isIPv4(text) || isFull(text)) return text;
  const bare = text.replace(/:\d+$/, "");
  return isIPv4(bare) || isIPv6(bare) ? bare : text;
}

/** Whether an address has all of its groups, so that nothing in it can be a port. */
function isFull(text: string): boolean {
  return isIPv6(text) && !text.includes("::") && text.split(":").length === 8;
}

/** All eight, in hexadecimal without leading zeros. */
function groupsOf(address: string): string[] {
  // A dotted end is two groups; its network part does not hold it.
  const text = address.replace(/\d+\.\d+\.\d+\.\d+$/, "0:0");
  const [head = "", tail = ""] = text.split("::");
  const [first, last] = [head, tail].map((part) => (part === "" ? [] : part.split(":")));
  const left = first ?? [];
  const right = last ?? [];
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16).toString(16));
}
