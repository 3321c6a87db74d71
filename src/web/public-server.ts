/** The TCP server for Prometheus and health checks. Nothing here changes anything. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createError, reasonOf } from '../errors.js';
import type { HealthSource } from './control-api.js';
import { closeServer, createBoundedServer } from './http-limits.js';
import { createRouter, type Route } from './router.js';

export interface PublicServerOptions {
  address: string;
  /** 0 lets the kernel choose. */
  port: number;
  health: HealthSource;
  metrics: { contentType: string; renderMetrics(): Promise<string> };
  onError?: (error: unknown) => void;
}

export interface PublicServer {
  /** `http://127.0.0.1:9847` */
  url: string;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  contentType?: string;
  body: string;
}

type Handler = () => Reply | Promise<Reply>;

/** @throws ERR_PORT_IN_USE when the address cannot be had, whatever the reason. */
export async function startPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const route = createRouter(publicRoutes(options));
  const server = createBoundedServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      options.onError?.(error);
      send(request, response, { status: 500, body: 'internal error\n' });
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const match = route(request.method ?? '', request.url ?? '');
    if (match.outcome === 'found') {
      send(request, response, await match.handler());
      return;
    }
    // Only reading is served, so a method is refused before its path is looked at.
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (reads) return send(request, response, { status: 404, body: 'no such page\n' });
    response.setHeader('Allow', 'GET, HEAD');
    send(request, response, { status: 405, body: 'only GET and HEAD\n' });
  }

  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () => closeServer(server),
  };
}

function publicRoutes({ metrics, health }: PublicServerOptions): Route<Handler>[] {
  const scrape = shareInFlight(() => metrics.renderMetrics());
  const routes: Route<Handler>[] = [
    {
      method: 'GET',
      path: '/metrics',
      handler: async () => ({ status: 200, contentType: metrics.contentType, body: await scrape() }),
    },
    { method: 'GET', path: '/healthz', handler: () => healthReply(health.unhealthyReasons()) },
    { method: 'GET', path: '/readyz', handler: () => healthReply(health.unreadyReasons()) },
  ];
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

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body }: Reply,
): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    'Content-Type': contentType ?? 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function listen(server: Server, { address, port, onError }: PublicServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use' : reasonOf(error);
      reject(createError('ERR_PORT_IN_USE', { address: `${address}:${port}`, reason }, { cause: error }));
    };
    server.once('error', refuse);
    server.listen({ host: address, port }, () => {
      server.off('error', refuse);
      // For one, accept() fails when the process runs out of descriptors; that must not end the agent.
      server.on('error', (error) => onError?.(error));
      resolve();
    });
  });
}
