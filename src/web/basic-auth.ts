/** Who a request says it comes from, by HTTP's basic authentication, and whether that is so. */
import type { IncomingMessage } from 'node:http';
import type { PasswordCheck } from './password-check.js';
import { costOf } from './web-config.js';

export interface Credentials {
  user: string;
  password: string;
}

/** Undefined where there are none that can be read. */
export function readCredentials({ headers }: IncomingMessage): Credentials | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(headers.authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The outcome for these users: `denied` has to ask, `busy` to wait. */
export async function checkCredentials(
  credentials: Credentials | undefined,
  users: ReadonlyMap<string, string>,
  passwords: PasswordCheck,
): Promise<'allowed' | 'denied' | 'busy'> {
  if (credentials === undefined) return 'denied';
  const { user, password } = credentials;
  const hash = users.get(user);
  // An unknown user takes as long as a known one.
  const verdict = await passwords.check(user, password, hash ?? nobodysHash(users));
  if (verdict === 'busy') return 'busy';
  return hash !== undefined && verdict === 'right' ? 'allowed' : 'denied';
}

function nobodysHash(users: ReadonlyMap<string, string>): string {
  const cost = Math.max(4, ...[...users.values()].map(costOf));
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}
