/**
 * Messages to a Unix datagram socket of this host, one datagram each. Nothing ever waits: a receiver without room is asked
 * again soon, one that is not there ever more seldom.
 */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { loadNative } from '../kernel/native.js';
import type { OutputSender } from './audit-output.js';

const { EAGAIN, EMSGSIZE, ENOBUFS } = constants.errno;

/** @throws the errno for a path that is too long */
export function openLocalDelivery(path: string): Pick<OutputSender<Buffer>, 'deliver' | 'close'> {
  const socket = loadNative().openDatagramSocket(path);
  return {
    async deliver(messages) {
      let rejected = 0;
      for (const [done, message] of messages.entries()) {
        const errno = socket.send(message);
        // More than the socket's send buffer: 208 KiB unless net.core.wmem_default was changed, and no line is so long.
        if (errno === EMSGSIZE) rejected++;
        else if (errno !== 0) {
          const busy = errno === EAGAIN || errno === ENOBUFS;
          return { done, rejected, busy, reason: `${path}: ${getSystemErrorName(-errno)}` };
        }
      }
      return { done: messages.length, rejected };
    },
    close: () => socket.close(),
  };
}
