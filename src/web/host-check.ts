/**
 * Against DNS rebinding: a page of somebody's that has its own name point here must not read what is here.
 *
 * The browser says under which name it asks. An IP address cannot be rebound, nor can the names that only this host gives.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Whether one may ask under this Host header. Without one it was no browser. */
export function createHostCheck(allowed: readonly string[]): (host: string | undefined) => boolean {
  const own = hostname().toLowerCase();
  const names = new Set([
    own,
    own.split('.', 1)[0],
    'localhost',
    ...allowed.map((name) => name.toLowerCase()),
  ]);
  return (host) => {
    if (host === undefined) return true;
    const name = nameOf(host);
    if (name === undefined) return false;
    return isIP(name) !== 0 || names.has(name) || name.endsWith('.localhost');
  };
}

/** Without port, brackets and final dot. */
function nameOf(host: string): string | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+?)\.?)(?::\d{1,5})?$/.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}
