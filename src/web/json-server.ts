/** JSON over HTTP on a Unix socket: what a handler gives or throws, as an answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createError, type ErrorCode, LoopwardenError, reasonOf } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import { listenOnSocket } from './control-socket.js';
import { closeServer, createBoundedServer } from './http-limits.js';
import { createRouter, type Route } from './router.js';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
}

/** Gives the value to answer with, or undefined when it has answered by itself. */
export type Handler = (exchange: Exchange) => Promise<unknown>;

export interface JsonServerOptions {
  path: string;
  routes: readonly Route<Handler>[];
  /** What no handler is to blame for. */
  onError?: (error: unknown) => void;
}

export interface JsonServer {
  close(): Promise<void>;
}

/** @throws ERR_ALREADY_RUNNING, ERR_SOCKET_PATH */
export async function startJsonServer({ path, routes, onError }: JsonServerOptions): Promise<JsonServer> {
  const route = createRouter(routes);
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

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known =
    error instanceof LoopwardenError ? error : createError('ERR_INTERNAL', { reason: reasonOf(error) });
  sendJson(response, statusOf(known), errorBody(known));
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_USAGE: 400,
  ERR_NO_SUCH_DEVICE: 404,
  ERR_NO_SUCH_INSTANCE: 404,
  ERR_INSTANCE_EXISTS: 409,
  ERR_INSTANCE_PLACED: 409,
  ERR_HOST_INSTANCE: 409,
};

function statusOf({ code }: LoopwardenError): number {
  return STATUS[code] ?? 500;
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
