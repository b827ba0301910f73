import { quoted } from "./quoted";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a text can be a label of a domain name (RFC 1123), in lower case. */
export function isDnsLabel(text: string): boolean {
  return DNS_LABEL.test(text);
}

/**
 * What is wrong with a name that has to be a DNS label, or undefined when nothing is. `word` opens
 * the sentence: `slug "x" must be a DNS label: …`.
 */
export function dnsLabelFault(word: string, text: string): string | undefined {
  if (isDnsLabel(text)) return undefined;
  const rule = "must be a DNS label: lowercase letters, digits and hyphens, at most 63";
  return `${word} ${quoted(text)} ${rule}`;
}
