/** The TCP server: metrics, health, and the live page with what it reads. Nothing here changes anything. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { createError, reasonOf } from '../errors.js';
import { capConnections } from './connection-cap.js';
import type { HealthSource } from './control-api.js';
import { createHostCheck } from './host-check.js';
import { closeServer, createBoundedServer } from './http-limits.js';
import type { PageApi } from './page-api.js';
import { createPageRoutes } from './page-routes.js';
import { type Reply, sendReply } from './reply.js';
import { createRouter, type Route } from './router.js';
import { openWebAccess, type Permission } from './web-access.js';

export interface PublicServerOptions {
  address: string;
  /** 0 lets the kernel choose. */
  port: number;
  /** Listens already, on that address: the service manager has opened it. */
  listener?: NetServer | undefined;
  health: HealthSource;
  metrics: { contentType: string; renderMetrics(): Promise<string> };
  /** Undefined: no live page, and none of what it reads. */
  page?: PageApi | undefined;
  /** Prometheus web-config file; empty: none. */
  webConfig?: string;
  allowUnauthenticated?: boolean;
  /** Names under which one may ask besides localhost and the host's own, while nobody has to say who they are. */
  allowedHosts?: readonly string[];
  onError?: (error: unknown) => void;
  /** The web config was read again, or is wrong now and the one before it stays in force. */
  onReload?: (error?: unknown) => void;
  maxConnections?: number;
  /** Milliseconds between two looks at the files of the web config. */
  watchMs?: number;
}

export interface PublicServer {
  /** `http://127.0.0.1:9847` */
  url: string;
  close(): Promise<void>;
}

export interface PublicRequest {
  request: IncomingMessage;
  response: ServerResponse;
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  permission: Permission & { outcome: 'allowed' };
}

/** Undefined: it answers by itself. */
export type PublicHandler = (exchange: PublicRequest) => Reply | undefined | Promise<Reply | undefined>;

const MAX_CONNECTIONS = 256;
/** A connection on which nothing moves is closed, whatever is under way. */
const STALL_MS = 30_000;

/** @throws ERR_PORT_IN_USE when the address cannot be had, whatever the reason; ERR_WEB_CONFIG, ERR_OPEN_ADDRESS */
export async function startPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const pageRoutes = options.page && createPageRoutes(options.page);
  const route = createRouter([...plainRoutes(options), ...(pageRoutes?.routes ?? [])]);
  const isKnownHost = createHostCheck(options.allowedHosts ?? []);
  const server = createBoundedServer((request, response) => {
    const done = cap.busy(request.socket);
    response.once('close', done);
    answer(request, response).catch((error: unknown) => {
      options.onError?.(error);
      send(request, response, { status: 500, body: 'internal error\n' });
    });
  });
  server.timeout = STALL_MS;
  server.maxConnections = Number.POSITIVE_INFINITY;
  const serve = takeOver(server, () => access.tls());
  const access = openWebAccess({
    webConfig: options.webConfig ?? '',
    address: options.address,
    allowUnauthenticated: options.allowUnauthenticated ?? false,
    onSecure: serve,
    onReload(error) {
      pageRoutes?.review();
      options.onReload?.(error);
    },
    ...(options.watchMs !== undefined && { watchMs: options.watchMs }),
  });
  const cap = capConnections(server, options.maxConnections ?? MAX_CONNECTIONS);
  const generations = new WeakMap<Socket, number>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    endOutdated(request, response);
    // Only reading is served, so a method is refused before its path is looked at.
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(request, response, {
        status: 405,
        body: 'only GET and HEAD\n',
        headers: { Allow: 'GET, HEAD' },
      });
    if (!access.asksWho() && !isKnownHost(request.headers.host)) return send(request, response, UNKNOWN_HOST);
    const permission = await access.permit(request);
    if (permission.outcome !== 'allowed') return send(request, response, REFUSALS[permission.outcome]);
    const match = route(request.method, request.url ?? '');
    if (match.outcome !== 'found') return send(request, response, { status: 404, body: 'no such page\n' });
    const { handler, params, query } = match;
    const reply = await handler({ request, response, params, query, permission });
    if (reply !== undefined) send(request, response, reply);
  }

  /** A connection that was made under an earlier web config is not kept for a next request. */
  function endOutdated({ socket }: IncomingMessage, response: ServerResponse): void {
    const madeIn = generations.get(socket) ?? access.generation();
    generations.set(socket, madeIn);
    if (madeIn !== access.generation()) response.shouldKeepAlive = false;
  }

  function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
    sendReply(request, response, reply, access.headers());
  }

  try {
    await listen(server, options);
  } catch (error) {
    access.close();
    throw error;
  }
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `${access.tls() ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async close() {
      access.close();
      pageRoutes?.close();
      const closed = closeServer(server);
      cap.closeAll();
      await closed;
    },
  };
}

/**
 * Connections go to HTTP at once, or through TLS first: which, and with what certificate, may change while the server
 * listens. Returns what takes a connection that is ready for HTTP.
 */
function takeOver(
  server: Server,
  tls: () => { emit(event: 'connection', socket: Socket): boolean } | undefined,
) {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  const serve = (socket: Socket): void => {
    for (const listener of listeners) listener.call(server, socket);
  };
  server.on('connection', (socket: Socket) => {
    if (socket.destroyed) return;
    const secure = tls();
    if (secure) secure.emit('connection', socket);
    else serve(socket);
  });
  return serve;
}

const UNKNOWN_HOST: Reply = {
  status: 421,
  body: 'asked under a name that is not known to be this host: use its address, or add the name to http.allowed_hosts\n',
};

const REFUSALS: Record<'denied' | 'busy', Reply> = {
  denied: {
    status: 401,
    body: 'user and password, please\n',
    headers: { 'WWW-Authenticate': 'Basic realm="loopwarden", charset="UTF-8"' },
  },
  busy: { status: 503, body: 'too many passwords are being checked\n', headers: { 'Retry-After': '1' } },
};

function plainRoutes({ metrics, health, page }: PublicServerOptions): Route<PublicHandler>[] {
  const scrape = shareInFlight(() => metrics.renderMetrics());
  const routes: Route<PublicHandler>[] = [
    {
      method: 'GET',
      path: '/metrics',
      handler: async () => ({ status: 200, contentType: metrics.contentType, body: await scrape() }),
    },
    { method: 'GET', path: '/healthz', handler: () => healthReply(health.unhealthyReasons()) },
    { method: 'GET', path: '/readyz', handler: () => healthReply(health.unreadyReasons()) },
  ];
  if (page) return routes;
  const index = `loopwarden\n\n${routes.map(({ path }) => `${path}\n`).join('')}`;
  return [{ method: 'GET', path: '/', handler: () => ({ status: 200, body: index }) }, ...routes];
}

function healthReply(reasons: readonly string[]): Reply {
  if (reasons.length === 0) return { status: 200, body: 'ok\n' };
  return { status: 503, body: reasons.map((reason) => `${reason}\n`).join('') };
}

/** Callers that come while the work runs share its outcome, so that many scrapers cost no more than one. */
function shareInFlight<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function listen(server: Server, { address, port, listener, onError }: PublicServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use' : reasonOf(error);
      reject(createError('ERR_PORT_IN_USE', { address: `${address}:${port}`, reason }, { cause: error }));
    };
    server.once('error', refuse);
    server.listen(listener ?? { host: address, port }, () => {
      server.off('error', refuse);
      // For one, accept() fails when the process runs out of descriptors; that must not end the agent.
      server.on('error', (error) => onError?.(error));
      resolve();
    });
  });
}
