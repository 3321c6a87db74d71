/** One whole answer of the public server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SECURITY_HEADERS } from './security-headers.js';

export interface Reply {
  status: number;
  contentType?: string;
  body: string | Buffer;
  /** With its quotes: a client that has it already gets 304. */
  etag?: string;
  /** Besides, and instead of, those that every answer has. */
  headers?: Readonly<Record<string, string>>;
}

/** `more`: headers that somebody configured. */
export function sendReply(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body, etag, headers }: Reply,
  more: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const shared = {
    ...SECURITY_HEADERS,
    'Cache-Control': 'no-store',
    ...headers,
    ...more,
    ...(etag !== undefined && { ETag: etag }),
  };
  if (etag !== undefined && isKnown(request.headers['if-none-match'], etag)) {
    response.writeHead(304, shared).end();
    return;
  }
  response.writeHead(status, {
    'Content-Type': contentType ?? 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    ...shared,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function isKnown(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((each) => each.trim().replace(/^W\//, '') === etag) === true;
}
