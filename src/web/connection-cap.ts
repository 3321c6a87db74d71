/**
 * Never more connections than that, and always room for one that asks: the connection that has been idle longest goes,
 * and if none is idle the one whose answer takes longest, if that is long already.
 *
 * So ten thousand connections that say nothing cost as much as the bound, and a scrape still gets through.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionCap {
  /** A request is under way on this connection; call the returned function when it is not any more. */
  busy(socket: Socket): () => void;
  /** Of connections. */
  size(): number;
  closeAll(): void;
}

const LONG_MS = 5000;

/** For each raw connection; a TLS socket is known by its ports. */
export function capConnections(server: Server, most: number): ConnectionCap {
  // In the order in which they became idle.
  const idle = new Map<string, Socket>();
  const busy = new Map<string, { socket: Socket; sinceMs: number }>();
  server.prependListener('connection', (socket: Socket) => {
    const key = keyOf(socket);
    socket.once('close', () => {
      idle.delete(key);
      busy.delete(key);
    });
    if (idle.size + busy.size >= most) {
      const leaver = longestIdle() ?? longestBusy();
      if (leaver === undefined) {
        socket.destroy();
        return;
      }
      leaver.destroy();
    }
    idle.set(key, socket);
  });
  return {
    busy(socket) {
      const key = keyOf(socket);
      const raw = idle.get(key);
      if (raw) {
        idle.delete(key);
        busy.set(key, { socket: raw, sinceMs: performance.now() });
      }
      return () => {
        if (raw === undefined || !busy.delete(key)) return;
        idle.set(key, raw);
      };
    },
    size: () => idle.size + busy.size,
    closeAll() {
      for (const socket of idle.values()) socket.destroy();
      for (const { socket } of busy.values()) socket.destroy();
    },
  };

  function longestIdle(): Socket | undefined {
    const [oldest] = idle;
    if (oldest === undefined) return undefined;
    idle.delete(oldest[0]);
    return oldest[1];
  }

  function longestBusy(): Socket | undefined {
    const [oldest] = busy;
    if (oldest === undefined || performance.now() - oldest[1].sinceMs < LONG_MS) return undefined;
    busy.delete(oldest[0]);
    return oldest[1].socket;
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
