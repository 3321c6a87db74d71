/** A JSON answer that all clients share: read at most so often, however many ask, and sent only where it has changed. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { jsonText } from '../sinks/json-text.js';
import { chooseEncoding } from './page-assets.js';
import type { Reply } from './reply.js';

const LEAST_AGE_MS = 500;
/** What takes long to read is read that much less often: readers have at most a tenth of the agent's time. */
const AGE_PER_WORK = 10;
/** Below it compressing saves nothing. */
const COMPRESS_FROM_BYTES = 4096;

const compress = promisify(gzip);

interface Version {
  etag: string;
  body: Buffer;
  compressed: Promise<Buffer> | undefined;
}

/** Answers with the newest version. Rejects when `read` does, for everybody who waits for it. */
export function createSnapshot(
  read: () => Promise<unknown>,
): (accepts: string | undefined) => Promise<Reply> {
  let version: Promise<Version> | undefined;
  let freshUntilMs = 0;

  const take = async (): Promise<Version> => {
    const startMs = performance.now();
    const body = Buffer.from(`${jsonText(await read())}\n`);
    const etag = createHash('sha256').update(body).digest('base64url').slice(0, 22);
    const endMs = performance.now();
    freshUntilMs = endMs + Math.max(LEAST_AGE_MS, (endMs - startMs) * AGE_PER_WORK);
    return { etag, body, compressed: undefined };
  };

  return async (accepts) => {
    if (version === undefined || performance.now() > freshUntilMs) {
      // Until it is there, it is what everybody waits for.
      freshUntilMs = Number.POSITIVE_INFINITY;
      version = take().catch((error: unknown) => {
        version = undefined;
        throw error;
      });
    }
    return replyOf(await version, accepts);
  };
}

async function replyOf(version: Version, accepts: string | undefined): Promise<Reply> {
  const { etag, body } = version;
  // Whatever may be compressed, gzip is quick enough to be made while one waits; brotli is not.
  const packed =
    body.length >= COMPRESS_FROM_BYTES && chooseEncoding(accepts?.replace(/\bbr\b/g, '')) === 'gzip';
  version.compressed ??= packed ? compress(body, { level: 1 }) : undefined;
  return {
    status: 200,
    contentType: 'application/json',
    body: packed && version.compressed ? await version.compressed : body,
    etag: `"${etag}${packed ? '-gzip' : ''}"`,
    headers: {
      'Cache-Control': 'no-cache',
      Vary: 'Accept-Encoding',
      ...(packed && { 'Content-Encoding': 'gzip' }),
    },
  };
}
