/** Routes of the live page: its files, and the JSON and events that it reads. */
import { randomBytes } from 'node:crypto';
import { LoopwardenError } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import { createEventHub } from './event-hub.js';
import type { PageApi } from './page-api.js';
import { ASSET_PATHS, createPageAssets } from './page-assets.js';
import type { PublicHandler, PublicRequest } from './public-server.js';
import type { Reply } from './reply.js';
import type { Route } from './router.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { createSnapshot } from './snapshot.js';

export interface PageRoutes {
  routes: Route<PublicHandler>[];
  /** Ends the streams of those who may not have them any more. */
  review(): void;
  close(): void;
}

export function createPageRoutes(api: PageApi): PageRoutes {
  const assets = createPageAssets();
  const hub = createEventHub({ lines: api.events, epoch: randomBytes(8).toString('hex') });
  const devices = createSnapshot(() => api.devices());
  const status = createSnapshot(() => api.status());
  const get = (path: string, handler: PublicHandler): Route<PublicHandler> => ({
    method: 'GET',
    path,
    handler,
  });
  const routes = [
    ...ASSET_PATHS.map((path) =>
      get(path, ({ request }) =>
        assets.reply(path, request.headers['accept-encoding'] as string | undefined),
      ),
    ),
    get('/api/v1/status', ({ request }) => status(request.headers['accept-encoding'] as string | undefined)),
    get('/api/v1/devices', ({ request }) =>
      devices(request.headers['accept-encoding'] as string | undefined),
    ),
    get('/api/v1/devices/:name', ({ params }) => deviceReply(api, params.name ?? '')),
    get('/api/v1/rates', ({ query }) => ratesReply(api, query.get('after') ?? '0')),
    get('/api/v1/events', (exchange) => {
      if (exchange.request.method === 'HEAD') return { status: 200, contentType: EVENTS, body: '' };
      return streamTo(exchange);
    }),
  ];
  return { routes, review: () => hub.review(), close: () => hub.close() };

  function streamTo({ request, response, query, permission }: PublicRequest): Reply | undefined {
    const after = request.headers['last-event-id'] ?? query.get('after') ?? undefined;
    const headers = { ...SECURITY_HEADERS, 'Content-Type': EVENTS, 'Cache-Control': 'no-store' };
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (hub.join(response, typeof after === 'string' ? after : undefined, permission.holds)) return undefined;
    return TOO_MANY;
  }
}

const EVENTS = 'text/event-stream; charset=utf-8';
const TOO_MANY: Reply = { status: 503, body: 'too many pages are open\n', headers: { 'Retry-After': '5' } };

async function deviceReply(api: PageApi, name: string): Promise<Reply> {
  try {
    return json(200, await api.device(name));
  } catch (error) {
    if (error instanceof LoopwardenError && error.code === 'ERR_NO_SUCH_DEVICE')
      return json(404, { error: { code: error.code, message: error.message, nextStep: error.nextStep } });
    throw error;
  }
}

function ratesReply(api: PageApi, after: string): Reply {
  if (!/^\d{1,15}$/.test(after)) return { status: 400, body: 'after must be a number\n' };
  return json(200, api.rates(Number(after)));
}

function json(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json', body: `${jsonText(value)}\n` };
}
