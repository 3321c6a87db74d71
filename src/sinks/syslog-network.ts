/** Syslog messages over UDP (RFC 5426) and TCP (RFC 6587, by octet counting, which is RFC 5425's too). */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { OutputSender } from './audit-output.js';

export interface NetworkAddress {
  host: string;
  port: number;
}

export type NetworkDelivery = Pick<OutputSender<Buffer>, 'deliver' | 'close'>;

/** What was sent has left this host; nobody learns whether anybody listens. */
export function openUdpDelivery({ host, port }: NetworkAddress): NetworkDelivery {
  const sockets = new Map<number, UdpSocket>();

  function socketOf(family: number): UdpSocket {
    const socket = sockets.get(family) ?? createSocket(family === 6 ? 'udp6' : 'udp4').unref();
    sockets.set(family, socket);
    return socket;
  }

  return {
    async deliver(messages) {
      // Each time: a name may lead elsewhere by now.
      const { address, family } = await lookup(host);
      const socket = socketOf(family);
      const errors = await Promise.all(messages.map((message) => sendTo(socket, message, port, address)));
      const failure = errors.find((error) => error !== undefined && error.code !== 'EMSGSIZE');
      if (failure !== undefined) throw failure;
      return { done: messages.length, rejected: errors.filter((error) => error !== undefined).length };
    },
    close() {
      for (const socket of sockets.values()) socket.close();
    },
  };
}

type SendError = NodeJS.ErrnoException | undefined;

function sendTo(socket: UdpSocket, message: Buffer, port: number, address: string): Promise<SendError> {
  return new Promise((resolve) =>
    socket.send(message, port, address, (error) => resolve(error ?? undefined)),
  );
}

export function openTcpDelivery({ host, port }: NetworkAddress): NetworkDelivery {
  return openStreamDelivery(() => {
    const socket = createConnection({ host, port });
    return { socket, isReady: async (signal) => void (await once(socket, 'connect', { signal })) };
  });
}

export interface Connecting {
  socket: Socket;
  /** Rejects when it comes to nothing. */
  isReady(signal: AbortSignal): Promise<void>;
}

/**
 * One connection, made anew when it ends. What the kernel took counts as sent: a receiver that goes away may lose the last of it,
 * and gets a batch that was broken off again as a whole.
 */
export function openStreamDelivery(begin: () => Connecting): NetworkDelivery {
  let socket: Socket | undefined;

  async function connect(signal: AbortSignal): Promise<Socket> {
    const { socket: fresh, isReady } = begin();
    fresh.unref().once('close', () => {
      if (socket === fresh) socket = undefined;
    });
    try {
      await isReady(signal);
    } catch (error) {
      fresh.on('error', () => {}).destroy();
      throw error;
    }
    // Syslog answers nothing; that the other side ends shows only to who reads.
    fresh
      .on('error', () => {})
      .once('end', () => fresh.destroy())
      .resume();
    return fresh;
  }

  return {
    async deliver(messages, signal) {
      signal.throwIfAborted();
      socket ??= await connect(signal);
      await write(socket, Buffer.concat(messages.flatMap(framed)), signal);
      return { done: messages.length, rejected: 0 };
    },
    close() {
      socket?.end();
    },
  };
}

function framed(message: Buffer): Buffer[] {
  return [Buffer.from(`${message.length} `), message];
}

/** Resolves when the kernel has all of it. */
function write(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    socket.write(bytes, (error) => {
      signal.removeEventListener('abort', abort);
      // Of a write that was broken off Node says that it went well.
      if (error || socket.destroyed) reject(error ?? socket.errored ?? new Error('the connection has ended'));
      else resolve();
    });
  });
}
