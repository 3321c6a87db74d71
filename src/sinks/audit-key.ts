/** The key that signs the audit log's checkpoints: made at the first start, for root alone. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import { makeFolder } from './make-folder.js';

export interface AuditKey {
  privateKey: KeyObject;
  /** Names the public key in checkpoints. */
  id: string;
  /** By id: its own, and those of the keys before it that its folder still has. */
  publicKeys: ReadonlyMap<string, KeyObject>;
}

/** Of the public key, beside the key. */
export const publicKeyPath = (keyPath: string): string => `${keyPath}.pub`;

/**
 * Makes key (0600) and public key (0644) where there is none; a folder that is missing gets 0750. A new key's public one
 * is put before what the file of public keys has already: the log's older checkpoints were signed by those.
 *
 * @throws ERR_AUDIT_KEY
 */
export async function openAuditKey(path: string): Promise<AuditKey> {
  try {
    await makeFolder(dirname(path));
    if (!existsSync(path)) makeKey(path);
    const privateKey = createPrivateKey(readFileSync(path));
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key');
    const publicKey = createPublicKey(privateKey);
    const id = keyId(publicKey);
    return { privateKey, id, publicKeys: keepPublicKey(publicKeyPath(path), publicKey, id) };
  } catch (error) {
    throw createError('ERR_AUDIT_KEY', { path, reason: reasonOf(error) }, { cause: error });
  }
}

/** The public keys of a file of PEM blocks, by id. @throws ERR_AUDIT_KEY */
export function readPublicKeys(path: string): Map<string, KeyObject> {
  try {
    const keys = parsePublicKeys(readFileSync(path, 'latin1'));
    if (keys.size === 0) throw new Error('there is no Ed25519 public key (PEM) in it');
    return keys;
  } catch (error) {
    throw createError('ERR_AUDIT_KEY', { path, reason: reasonOf(error) }, { cause: error });
  }
}

function makeKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  const next = `${path}.${process.pid}`;
  try {
    writeFileSync(next, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flush: true });
    // Not a rename: one that another start has made meanwhile stays.
    linkSync(next, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(next, { force: true });
  }
}

function keepPublicKey(path: string, publicKey: KeyObject, id: string): Map<string, KeyObject> {
  const before = existsSync(path) ? readFileSync(path, 'latin1') : '';
  const known = parsePublicKeys(before);
  if (known.has(id)) return known;
  const next = `${path}.${process.pid}`;
  writeFileSync(next, `${publicKey.export({ type: 'spki', format: 'pem' })}${before}`, { mode: 0o644 });
  renameSync(next, path);
  return new Map([[id, publicKey], ...known]);
}

function parsePublicKeys(text: string): Map<string, KeyObject> {
  const blocks = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  const keys = blocks.map((block) => createPublicKey(block));
  return new Map(
    keys.filter((key) => key.asymmetricKeyType === 'ed25519').map((key) => [keyId(key), key] as const),
  );
}

function keyId(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 16);
}
