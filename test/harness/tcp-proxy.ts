import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A way to a server that a test can cut or freeze. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks every connection and refuses new ones. */
  cut(): void;
  /** Keeps connections open, takes new ones, and passes nothing on: a server that has frozen. */
  freeze(): void;
  /** Works again, for connections that are opened from now on. */
  heal(): void;
  close(): Promise<void>;
}

/** Starts a proxy on a free port of loopback; `onBytes` is shown all that passes, both ways. */
export async function startTcpProxy(
  target: { host: string; port: number },
  onBytes: (bytes: Buffer) => void = () => undefined,
): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let mode: "open" | "cut" | "frozen" = "open";
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
  };
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((incoming) => {
    keep(incoming);
    if (mode === "cut") incoming.destroy();
    if (mode !== "open") return;
    const outgoing = connect(target);
    keep(outgoing);
    const pass = (from: Socket, to: Socket) => {
      from.on("data", (bytes) => {
        onBytes(bytes);
        if (mode === "open") to.write(bytes);
      });
      from.on("close", () => to.destroy());
    };
    pass(incoming, outgoing);
    pass(outgoing, incoming);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      mode = "cut";
      drop();
    },
    freeze: () => {
      mode = "frozen";
    },
    heal: () => {
      // Connections of before have lost bytes: nothing good can come of them.
      if (mode === "frozen") drop();
      mode = "open";
    },
    close: async () => {
      drop();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
