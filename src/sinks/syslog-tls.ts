/** Syslog messages over TLS (RFC 5425). The server has to prove its name; a certificate of this host is shown if there is one. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';
import { createError, reasonOf } from '../errors.js';
import { type NetworkAddress, type NetworkDelivery, openStreamDelivery } from './syslog-network.js';

/** Paths of PEM files, read again for each connection: what was renewed is used. Empty: none. */
export interface TlsFiles {
  /** Whose word is taken for a server's name; none: Node's own list of authorities. */
  ca: string;
  cert: string;
  key: string;
}

/**
 * In TLS 1.3 a server looks at the client's certificate after the client has done its part, and what it does not take has been sent by then.
 * A server that has taken it sends a session ticket first, most of them; for those that send none this is waited.
 */
const VERDICT_MS = 500;

/** @throws ERR_SYSLOG_TLS for files that cannot be used */
export function openTlsDelivery({ host, port }: NetworkAddress, files: TlsFiles): NetworkDelivery {
  checkFiles(files);
  return openStreamDelivery(() => {
    const socket = connect({
      ...readFiles(files),
      host,
      port,
      minVersion: 'TLSv1.2',
      // An address is no name to ask for (RFC 6066).
      ...(isIP(host) === 0 && { servername: host }),
    });
    const verdict = new AbortController();
    // A turn later: what is written from within the first event is lost, though Node says that it went well.
    for (const event of ['session', 'close']) socket.once(event, () => setImmediate(() => verdict.abort()));
    return { socket, isReady: (signal) => waitUntilTaken(socket, signal, verdict.signal) };
  });
}

async function waitUntilTaken(socket: TLSSocket, signal: AbortSignal, verdict: AbortSignal): Promise<void> {
  let failure: unknown;
  await once(socket, 'secureConnect', { signal });
  if (socket.getProtocol() !== 'TLSv1.3') return;
  socket.once('error', (error) => {
    failure = error;
  });
  await delay(VERDICT_MS, undefined, { signal: AbortSignal.any([signal, verdict]), ref: false }).catch(
    () => {},
  );
  signal.throwIfAborted();
  if (socket.destroyed) throw failure ?? new Error('the server has ended the connection');
}

function readFiles({ ca, cert, key }: TlsFiles): ConnectionOptions {
  return {
    ...(ca !== '' && { ca: readFileSync(ca) }),
    ...(cert !== '' && { cert: readFileSync(cert) }),
    ...(key !== '' && { key: readFileSync(key) }),
  };
}

function checkFiles(files: TlsFiles): void {
  if ((files.cert === '') !== (files.key === ''))
    throw createError('ERR_SYSLOG_TLS', {
      reason: 'audit.syslog_cert and audit.syslog_key are for each other',
    });
  try {
    createSecureContext(readFiles(files));
  } catch (error) {
    throw createError('ERR_SYSLOG_TLS', { reason: reasonOf(error) }, { cause: error });
  }
}
