/**
 * Who may ask, and over what: nobody is asked, or what a web-config file says, read again when it changes.
 *
 * A change is for new connections and requests; what is under way goes on, but an old connection is not kept for a next
 * request. A file that is wrong after a change is reported, and the one before it stays in force.
 */
import { statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { createError } from '../errors.js';
import { checkCredentials, readCredentials } from './basic-auth.js';
import { createPasswordCheck } from './password-check.js';
import { asksWho, contextOptions, readWebConfig, type TlsSettings, type WebConfig } from './web-config.js';

/** `holds`: whether it is still so; for answers that go on for hours. */
export type Permission =
  | { outcome: 'allowed'; holds: () => boolean }
  | { outcome: 'denied' }
  | { outcome: 'busy' };

export interface WebAccess {
  /** For the next connection; undefined: plain HTTP. What it hands out has shown the certificate that it must. */
  tls(): TlsServer | undefined;
  /** Grows with each change: connections of an earlier one should end after their answer. */
  generation(): number;
  permit(request: IncomingMessage): Promise<Permission>;
  /** Whether everybody has to prove who they are. */
  asksWho(): boolean;
  headers(): Readonly<Record<string, string>>;
  close(): void;
}

export interface WebAccessOptions {
  /** Empty: there is none. */
  webConfig: string;
  address: string;
  allowUnauthenticated: boolean;
  /** A connection that is ready for HTTP. */
  onSecure: (socket: TLSSocket) => void;
  /** Read again, or refused to. */
  onReload?: (error?: unknown) => void;
  /** Milliseconds between two looks at the files. */
  watchMs?: number;
}

const WATCH_MS = 2000;
/** From the connection to the end of the handshake. */
const HANDSHAKE_MS = 5000;

const OPEN: WebConfig = { tls: undefined, users: new Map(), headers: {}, files: [] };

/** @throws ERR_WEB_CONFIG, ERR_OPEN_ADDRESS */
export function openWebAccess(options: WebAccessOptions): WebAccess {
  const { webConfig, onReload, onSecure } = options;
  const passwords = createPasswordCheck();
  let generation = 0;
  let config = load(options);
  let tls = config.tls && startTls(config.tls, onSecure);
  let seen = fingerprint(config.files);

  const look = (): void => {
    const now = fingerprint(config.files);
    if (now === seen) return;
    seen = now;
    try {
      config = load(options);
      tls = config.tls && startTls(config.tls, onSecure);
      generation++;
      seen = fingerprint(config.files);
      onReload?.();
    } catch (error) {
      onReload?.(error);
    }
  };
  const watch = webConfig === '' ? undefined : setInterval(look, options.watchMs ?? WATCH_MS).unref();

  return {
    tls: () => tls,
    generation: () => generation,
    asksWho: () => asksWho(config),
    headers: () => config.headers,
    async permit(request) {
      if (config.users.size === 0) return { outcome: 'allowed', holds: () => config.users.size === 0 };
      const credentials = readCredentials(request);
      const { users } = config;
      const outcome = await checkCredentials(credentials, users, passwords);
      if (outcome !== 'allowed' || credentials === undefined)
        return { outcome: outcome as 'denied' | 'busy' };
      const hash = users.get(credentials.user);
      return { outcome, holds: () => config.users.get(credentials.user) === hash };
    },
    close() {
      clearInterval(watch);
      passwords.close();
    },
  };
}

function load({ webConfig, address, allowUnauthenticated }: WebAccessOptions): WebConfig {
  const config = webConfig === '' ? OPEN : readWebConfig(webConfig);
  if (!isLoopback(address) && !asksWho(config) && !allowUnauthenticated)
    throw createError('ERR_OPEN_ADDRESS', { address });
  return config;
}

/** Whether only this host can reach it. */
export function isLoopback(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const plain = mapped ?? address;
  return isIP(plain) === 4 ? plain.startsWith('127.') : /^(0*:)*:?0*1$/.test(plain) && isIP(plain) === 6;
}

/** Never listens itself: it is handed the connections of the server that does. */
function startTls(settings: TlsSettings, onSecure: (socket: TLSSocket) => void): TlsServer {
  const { client } = settings;
  const server = createTlsServer({
    ...contextOptions(settings),
    requestCert: client.asked,
    rejectUnauthorized: client.verified && client.demanded,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ['http/1.1'],
  });
  server.on('secureConnection', (socket) => {
    // What a client does after the handshake, such as leaving, is for HTTP to notice.
    socket.on('error', () => {});
    if (isWelcome(socket, client)) onSecure(socket);
    else socket.destroy();
  });
  // A client that speaks no TLS, or stops in the middle, is no event of ours; Node leaves it open unless it is told.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

function isWelcome(socket: TLSSocket, client: TlsSettings['client']): boolean {
  if (!client.asked) return true;
  const certificate = socket.getPeerCertificate();
  const shown = Object.keys(certificate ?? {}).length > 0;
  if (!shown) return !client.demanded;
  if (client.verified && !socket.authorized) return false;
  return (
    client.allowedSans.length === 0 ||
    sansOf(certificate.subjectaltname).some((san) => client.allowedSans.includes(san))
  );
}

/** `DNS:a, IP Address:1.2.3.4, URI:"x, y"`: quoted where a name has a comma, as JSON. */
function sansOf(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(/(?:^|, )[A-Za-z ]+:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, value = '']) =>
    value.startsWith('"') ? String(JSON.parse(value)) : value,
  );
}

/** Kubernetes swaps a link, editors a file: both change the inode behind the name. */
function fingerprint(files: readonly string[]): string {
  return files
    .map((file) => {
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stat ? `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}` : 'none';
    })
    .join();
}
