/** HTTP on the Unix socket that the commands use: everything that changes anything is only here. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FILTER_MODES } from '../config/schema.js';
import { createError, LoopwardenError, reasonOf } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import type { ControlApi } from './control-api.js';
import { listenOnSocket } from './control-socket.js';
import { streamEvents } from './event-stream.js';
import { closeServer, createBoundedServer } from './http-limits.js';
import { readJsonBody } from './json-body.js';
import { createRouter, type Route } from './router.js';

export interface ControlServerOptions {
  path: string;
  api: ControlApi;
  onError?: (error: unknown) => void;
}

export interface ControlServer {
  close(): Promise<void>;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
}

/** Gives the value to answer with, or undefined when it has answered by itself. */
type Handler = (exchange: Exchange) => Promise<unknown>;

/** @throws ERR_ALREADY_RUNNING, ERR_SOCKET_PATH */
export async function startControlServer({
  path,
  api,
  onError,
}: ControlServerOptions): Promise<ControlServer> {
  const route = createRouter(controlRoutes(api));
  const server = createBoundedServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof LoopwardenError)) onError?.(error);
      sendError(response, error);
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const match = route(request.method ?? '', request.url ?? '');
    if (match.outcome === 'found') {
      const value = await match.handler({ request, response, params: match.params, query: match.query });
      if (value !== undefined) sendJson(response, 200, value);
      return;
    }
    const reason = `the agent has no ${request.method} ${request.url}`;
    if (match.outcome === 'wrong_method') response.setHeader('Allow', match.allow);
    sendJson(
      response,
      match.outcome === 'wrong_method' ? 405 : 404,
      errorBody(createError('ERR_USAGE', { reason })),
    );
  }

  await listenOnSocket(server, path);
  // For one, accept() fails when the process runs out of descriptors; that must not end the agent.
  server.on('error', (error) => onError?.(error));
  return { close: () => closeServer(server) };
}

function controlRoutes(api: ControlApi): Route<Handler>[] {
  return [
    { method: 'GET', path: '/api/v1/status', handler: () => api.status() },
    { method: 'GET', path: '/api/v1/devices', handler: () => api.devices() },
    { method: 'GET', path: '/api/v1/devices/:name', handler: ({ params }) => api.device(params.name ?? '') },
    { method: 'GET', path: '/api/v1/receivers', handler: () => api.receivers() },
    { method: 'GET', path: '/api/v1/doctor', handler: () => api.doctor() },
    { method: 'GET', path: '/api/v1/config', handler: () => api.config() },
    {
      method: 'GET',
      path: '/api/v1/events',
      handler: async ({ response, query }) => streamEvents(api, response, query),
    },
    { method: 'PUT', path: '/api/v1/filter', handler: ({ request }) => setFilter(api, request) },
  ];
}

async function setFilter(api: ControlApi, request: IncomingMessage): Promise<unknown> {
  const { mode } = await readJsonBody(request);
  const known: readonly unknown[] = FILTER_MODES;
  if (!known.includes(mode))
    throw createError('ERR_USAGE', { reason: `mode must be ${FILTER_MODES.join(', ')}` });
  return api.setFilterMode(mode as string);
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known =
    error instanceof LoopwardenError ? error : createError('ERR_INTERNAL', { reason: reasonOf(error) });
  sendJson(response, statusOf(known), errorBody(known));
}

function statusOf({ code }: LoopwardenError): number {
  if (code === 'ERR_NO_SUCH_DEVICE') return 404;
  return code === 'ERR_USAGE' ? 400 : 500;
}

function errorBody({ code, message, nextStep, where }: LoopwardenError) {
  return { error: { code, message, nextStep, where } };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = `${jsonText(value)}\n`;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  });
  // Node leaves the body out of an answer to HEAD by itself.
  response.end(body);
}
