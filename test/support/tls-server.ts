/** A TLS server (Python's, which is OpenSSL) that writes to a file what its clients send. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import type { Pair } from './certificates.js';
import { defer } from './defer.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

const SERVER = join(PACKAGE_ROOT, 'test/support/tls-server.py');

export type TlsServerOption = 'tls1.2' | 'no-tickets';

export interface TlsServer {
  port: number;
  /** The messages so far, by octet counting: `LENGTH MESSAGE`, nothing between. Throws for anything else. */
  messages(): string[];
}

/** `clients`: only those with a certificate of this authority. */
export async function startTlsServer(
  t: TestContext,
  own: Pair,
  { clients, options = [] }: { clients?: Pair; options?: readonly TlsServerOption[] } = {},
): Promise<TlsServer> {
  const output = join(tempFolder(t), 'received');
  writeFileSync(output, '');
  const asks = clients ? [clients.certFile] : [];
  const words = [SERVER, output, own.certFile, own.keyFile, ...asks, ...options];
  const child = spawn('python3', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
  });
  await eventually('the server listens', () => said.endsWith('\n'));
  return { port: Number(said), messages: () => split(readFileSync(output)) };
}

function split(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const digits = bytes.toString('latin1', at, blank);
    if (!/^[1-9]\d*$/.test(digits)) throw new Error(`no length: ${bytes.toString('latin1', at, at + 40)}`);
    const end = blank + 1 + Number(digits);
    // The rest is on its way.
    if (end > bytes.length) break;
    messages.push(bytes.toString('utf8', blank + 1, end));
    at = end;
  }
  return messages;
}
