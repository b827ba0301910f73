import { readFileSync } from "node:fs";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";

/** Files of a server's certificate. With `clientCaFile`, clients must show one, too. */
export interface ServerTls {
  certFile: string;
  keyFile: string;
  clientCaFile?: string;
}

/** Files with which a client verifies a server, and shows who it is when asked. */
export interface ClientTls {
  caFile: string;
  certFile?: string;
  keyFile?: string;
}

export function serverCredentials(tls: ServerTls): ServerCredentials {
  const pair = { cert_chain: readFileSync(tls.certFile), private_key: readFileSync(tls.keyFile) };
  const clientCa = tls.clientCaFile ? readFileSync(tls.clientCaFile) : null;
  return ServerCredentials.createSsl(clientCa, [pair], clientCa !== null);
}

export function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const cert = tls.certFile ? readFileSync(tls.certFile) : null;
  const key = tls.keyFile ? readFileSync(tls.keyFile) : null;
  return credentials.createSsl(readFileSync(tls.caFile), key, cert);
}
