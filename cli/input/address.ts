/** Whether a text is `host:port`, the host a name, an IPv4 address or a bracketed IPv6 address. */
export function isAddress(text: string): boolean {
  const [, port] = /^(?:\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/i.exec(text) ?? [];
  return port !== undefined && Number(port) > 0 && Number(port) <= 65_535;
}
