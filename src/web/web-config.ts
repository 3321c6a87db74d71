/**
 * The web-config file of Prometheus's exporters: TLS, client certificates, and users with bcrypt hashes.
 *
 * What of the format is left out is refused with its line, never ignored: TLS below 1.2, inline certificates, rate limits.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import { createError, type LoopwardenError, reasonOf } from '../errors.js';
import { CIPHER_SUITES, CURVES } from './tls-names.js';

export interface TlsSettings {
  cert: Buffer;
  key: Buffer;
  /** Of clients. */
  ca: Buffer | undefined;
  /** Whether a client is asked for a certificate, must show one, and has it verified. */
  client: { asked: boolean; demanded: boolean; verified: boolean; allowedSans: readonly string[] };
  minVersion: 'TLSv1.2' | 'TLSv1.3';
  maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** As OpenSSL names them; undefined: Node's own choice. */
  ciphers: string | undefined;
  curves: string | undefined;
}

export interface WebConfig {
  /** Undefined: plain HTTP. */
  tls: TlsSettings | undefined;
  /** Name → bcrypt hash; none: nobody is asked. */
  users: ReadonlyMap<string, string>;
  /** Headers for every answer. */
  headers: Readonly<Record<string, string>>;
  /** Whatever was read: a change of one is a change of the config. */
  files: readonly string[];
}

/** Whether a client has to prove who it is. */
export function asksWho({ tls, users }: Pick<WebConfig, 'tls' | 'users'>): boolean {
  return users.size > 0 || (tls?.client.demanded === true && tls.client.verified);
}

const MAX_FILE_BYTES = 1_048_576;
/** A check takes twice as long with each; 16 is some seconds. */
const MAX_BCRYPT_COST = 16;

const CLIENT_AUTH = {
  NoClientCert: { asked: false, demanded: false, verified: false },
  RequestClientCert: { asked: true, demanded: false, verified: false },
  RequireAnyClientCert: { asked: true, demanded: true, verified: false },
  VerifyClientCertIfGiven: { asked: true, demanded: false, verified: true },
  RequireAndVerifyClientCert: { asked: true, demanded: true, verified: true },
} as const;

const VERSIONS = { TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const;

const path = z.string().min(1, 'must name a file').max(4095);
const header = z
  .string()
  .max(4096)
  .regex(/^[\t\x20-\x7e]*$/, 'must be printable ASCII');

const schema = z.strictObject({
  tls_server_config: z
    .strictObject({
      cert_file: path,
      key_file: path,
      client_ca_file: path.optional(),
      client_auth_type: z.enum(keysOf(CLIENT_AUTH)).default('NoClientCert'),
      client_allowed_sans: z.array(z.string().min(1).max(255)).max(1000).default([]),
      min_version: z.enum(keysOf(VERSIONS), { error: 'must be TLS12 or TLS13' }).default('TLS12'),
      max_version: z.enum(keysOf(VERSIONS), { error: 'must be TLS12 or TLS13' }).default('TLS13'),
      cipher_suites: z.array(z.enum(keysOf(CIPHER_SUITES))).default([]),
      curve_preferences: z.array(z.enum(keysOf(CURVES))).default([]),
      // The server's order is taken; Go ignores it as well.
      prefer_server_cipher_suites: z.boolean().optional(),
    })
    .optional(),
  http_server_config: z
    .strictObject({
      // HTTP/1.1 is what is spoken; a client that may speak HTTP/2 also speaks that.
      http2: z.boolean().optional(),
      headers: z
        .strictObject({
          'Strict-Transport-Security': header.optional(),
          'X-XSS-Protection': header.optional(),
          // These are always sent, and only the stricter value is there to be chosen.
          'X-Content-Type-Options': z.literal('nosniff').optional(),
          'X-Frame-Options': z.literal('deny').optional(),
        })
        .default({}),
    })
    .optional(),
  basic_auth_users: z
    .record(
      z.string().regex(/^[^:\p{Cc}]{1,255}$/u, 'a user name is 1 to 255 characters without colon'),
      z
        .string()
        .regex(
          /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/,
          'must be a bcrypt hash: htpasswd -nBC 10 USER makes one',
        )
        .refine(
          (hash) => costOf(hash) >= 4 && costOf(hash) <= MAX_BCRYPT_COST,
          `its cost must be 4 to ${MAX_BCRYPT_COST}`,
        ),
    )
    .default({}),
});

/** @throws ERR_WEB_CONFIG with file, line and column */
export function readWebConfig(file: string): WebConfig {
  const lines = new LineCounter();
  const document = parseDocument(readBounded(file, file).toString(), {
    lineCounter: lines,
    uniqueKeys: true,
  });
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0);
    return `${file}:${line}:${col}`;
  };
  const [broken] = document.errors;
  if (broken) throw refuse(firstLine(broken.message), at(broken.pos[0]));
  const checked = schema.safeParse(plainValue(document, file) ?? {});
  if (!checked.success) {
    const [issue] = checked.error.issues;
    if (issue === undefined) throw refuse('it is not understood', file);
    throw refuse(wordsOf(issue), at(offsetOf(document, issue)));
  }
  const { tls_server_config: tls, http_server_config: http, basic_auth_users: users } = checked.data;
  const where = (key: string): string => at(offsetAt(document, ['tls_server_config', key]));
  const files = [file];
  const read = (name: string, key: string): Buffer => {
    const full = resolve(dirname(file), name);
    files.push(full);
    return readBounded(full, where(key));
  };
  return {
    tls: tls && readTls(tls, read, where),
    users: new Map(Object.entries(users)),
    headers: Object.fromEntries(
      Object.entries(http?.headers ?? {}).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
    files,
  };
}

/** The exponent of a bcrypt hash. */
export function costOf(hash: string): number {
  return Number(hash.slice(4, 6));
}

type TlsSection = NonNullable<z.infer<typeof schema>['tls_server_config']>;

function readTls(
  section: TlsSection,
  read: (name: string, key: string) => Buffer,
  where: (key: string) => string,
): TlsSettings {
  const client = CLIENT_AUTH[section.client_auth_type];
  if (section.client_ca_file !== undefined && !client.verified)
    throw refuse('client_ca_file needs a client_auth_type that verifies', where('client_ca_file'));
  if (section.client_ca_file === undefined && client.verified)
    throw refuse(`${section.client_auth_type} needs client_ca_file`, where('client_auth_type'));
  if (section.client_allowed_sans.length > 0 && !client.verified)
    throw refuse('client_allowed_sans needs a client_auth_type that verifies', where('client_allowed_sans'));
  if (section.min_version > section.max_version)
    throw refuse('min_version is above max_version', where('min_version'));
  const settings: TlsSettings = {
    cert: read(section.cert_file, 'cert_file'),
    key: read(section.key_file, 'key_file'),
    ca: section.client_ca_file === undefined ? undefined : read(section.client_ca_file, 'client_ca_file'),
    client: { ...client, allowedSans: section.client_allowed_sans },
    minVersion: VERSIONS[section.min_version],
    maxVersion: VERSIONS[section.max_version],
    ciphers: section.cipher_suites.map((name) => CIPHER_SUITES[name]).join(':') || undefined,
    curves: section.curve_preferences.map((name) => CURVES[name]).join(':') || undefined,
  };
  tryContext(() => createSecureContext({ cert: settings.cert }), 'no certificate', where('cert_file'));
  tryContext(() => createSecureContext({ key: settings.key }), 'no private key', where('key_file'));
  if (settings.ca) {
    const { ca } = settings;
    tryContext(() => createSecureContext({ ca }), 'no certificate', where('client_ca_file'));
    if (!ca.includes('-----BEGIN')) throw refuse('no certificate is in the file', where('client_ca_file'));
  }
  tryContext(() => createSecureContext(contextOptions(settings)), 'certificate and key', where('key_file'));
  return settings;
}

/** For tls.createServer and tls.createSecureContext. */
export function contextOptions({ cert, key, ca, minVersion, maxVersion, ciphers, curves }: TlsSettings) {
  return {
    cert,
    key,
    minVersion,
    maxVersion,
    honorCipherOrder: true,
    ...(ca && { ca }),
    ...(ciphers !== undefined && { ciphers }),
    ...(curves !== undefined && { ecdhCurve: curves }),
  };
}

function tryContext(make: () => unknown, what: string, where: string): void {
  try {
    make();
  } catch (error) {
    throw refuse(`${what}: ${reasonOf(error)}`, where, error);
  }
}

function readBounded(file: string, where: string): Buffer {
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES) throw new Error(`${file} is larger than 1 MiB`);
    return readFileSync(file);
  } catch (error) {
    throw refuse(reasonOf(error), where, error);
  }
}

function plainValue(document: Document, file: string): unknown {
  try {
    // No aliases: nothing is to grow while it is read.
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw refuse(reasonOf(error), file, error);
  }
}

type Issue = z.core.$ZodIssue;

function wordsOf(issue: Issue): string {
  if (issue.code === 'unrecognized_keys') return `unknown or unsupported key "${clip(issue.keys[0] ?? '')}"`;
  const key = issue.path.map(String).join('.');
  const reason = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? 'not taken') : issue.message;
  return key === '' ? reason : `${clip(key)}: ${reason}`;
}

function offsetOf(document: Document, issue: Issue): number | undefined {
  const key = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  return offsetAt(document, key === undefined ? issue.path : [...issue.path, key]);
}

/** Where that key is, or the nearest there is above it. */
function offsetAt(document: Document, keys: readonly PropertyKey[]): number | undefined {
  let offset: number | undefined;
  let node: unknown = document.contents;
  for (const key of keys) {
    if (isMap(node)) {
      const pair = node.items.find((each) => isScalar(each.key) && String(each.key.value) === String(key));
      if (!pair) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0];
      node = pair.value;
    } else {
      node = document.getIn([...keys.slice(0, keys.indexOf(key) + 1)], true);
      if (isNode(node)) offset = node.range?.[0];
    }
  }
  return offset;
}

function refuse(reason: string, where: string, cause?: unknown): LoopwardenError {
  return createError('ERR_WEB_CONFIG', { reason }, { where, ...(cause !== undefined && { cause }) });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function clip(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

function keysOf<T extends object>(table: T): [keyof T & string, ...(keyof T & string)[]] {
  return Object.keys(table) as [keyof T & string, ...(keyof T & string)[]];
}
