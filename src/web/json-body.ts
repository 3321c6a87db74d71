/** The JSON object in a request. */
import type { IncomingMessage } from 'node:http';
import { createError } from '../errors.js';

export const MAX_BODY_BYTES = 65_536;

/** @throws ERR_USAGE when it is larger than MAX_BODY_BYTES or no JSON object. */
export async function readJsonBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Read to its end even when too long: an answer while the client still sends would be lost with the connection.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (length > MAX_BODY_BYTES)
    throw createError('ERR_USAGE', { reason: 'the request is larger than 64 KiB' });
  const value = parse(Buffer.concat(chunks).toString());
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw createError('ERR_USAGE', { reason: 'the request must be a JSON object' });
  }
  return value as Record<string, unknown>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
