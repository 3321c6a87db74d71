/** The live page's files, compressed when they were built (scripts/build-page.mjs); read when first asked for. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PACKAGE_ROOT } from '../kernel/paths.js';
import type { Reply } from './reply.js';
import { PAGE_HEADERS } from './security-headers.js';

/** Path on the server → file and type. */
const FILES = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/page/app.css': { file: 'app.css', type: 'text/css; charset=utf-8' },
  '/page/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
} as const;

export type AssetPath = keyof typeof FILES;
export const ASSET_PATHS = Object.keys(FILES) as AssetPath[];

interface Asset {
  type: string;
  etag: string;
  bodies: Readonly<Record<'br' | 'gzip' | 'identity', Buffer>>;
}

export interface PageAssets {
  reply(path: AssetPath, accepts: string | undefined): Reply;
}

/** `folder`: where the build put them. Replies throw if a file is not there. */
export function createPageAssets(folder = `${PACKAGE_ROOT}dist/page`): PageAssets {
  const loaded = new Map<AssetPath, Asset>();
  return {
    reply(path, accepts) {
      let asset = loaded.get(path);
      if (asset === undefined) {
        asset = load(folder, path);
        loaded.set(path, asset);
      }
      const encoding = chooseEncoding(accepts);
      return {
        status: 200,
        contentType: asset.type,
        body: asset.bodies[encoding],
        // Each encoding is another representation, so it has another tag.
        etag: `"${asset.etag}-${encoding}"`,
        headers: {
          ...PAGE_HEADERS,
          // Asked again each time, and nearly always answered by 304: an upgrade is seen at once.
          'Cache-Control': 'no-cache',
          Vary: 'Accept-Encoding',
          ...(encoding !== 'identity' && { 'Content-Encoding': encoding }),
        },
      };
    },
  };
}

function load(folder: string, path: AssetPath): Asset {
  const { file, type } = FILES[path];
  const identity = readFileSync(`${folder}/${file}`);
  return {
    type,
    etag: createHash('sha256').update(identity).digest('base64url').slice(0, 22),
    bodies: {
      identity,
      br: readFileSync(`${folder}/${file}.br`),
      gzip: readFileSync(`${folder}/${file}.gz`),
    },
  };
}

/** The smallest that the client takes. `q=0` is a refusal. */
export function chooseEncoding(accepts = ''): 'br' | 'gzip' | 'identity' {
  const takes = (name: string): boolean =>
    accepts.split(',').some((part) => {
      const [coding = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
      return coding === name && !parameters.some((each) => /^q=0(\.0*)?$/.test(each));
    });
  if (takes('br')) return 'br';
  return takes('gzip') ? 'gzip' : 'identity';
}
