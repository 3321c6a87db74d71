/**
 * Writes test/sinks/schemas: what the tests need to know of the schemas in which the audit log can be had, read from checkouts
 * (`git clone --bare`) of where they are published. All three are Apache-2.0; only names, types and permitted values are taken.
 *
 * Usage: tsx scripts/published-schemas.ts OCSF-SCHEMA ECS SEMANTIC-CONVENTIONS OPENTELEMETRY-PROTO
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ECS_VERSION } from '../src/sinks/ecs-event.js';
import { OCSF_VERSION } from '../src/sinks/ocsf-event.js';
import { SEMANTIC_CONVENTIONS_VERSION } from '../src/sinks/otlp-record.js';
import { ocsfFacts } from './ocsf-facts.js';

export interface Checkout {
  text(path: string): string;
  json(path: string): unknown;
}

const PROTO_TAG = 'v1.9.0';
const FOLDER = new URL('../test/sinks/schemas/', import.meta.url);

function openCheckout(folder: string, tag: string): Checkout {
  const text = (path: string): string =>
    execFileSync('git', ['-C', folder, 'show', `${tag}:${path}`], { encoding: 'utf8', maxBuffer: 64 << 20 });
  return { text, json: (path) => JSON.parse(text(path)) };
}

interface EcsField {
  type: string;
  normalize: string[];
  allowed_values?: { name: string; expected_event_types?: string[] }[];
}

/** Whole sets of fields, but not what other sets are in them (`process.parent.hash.md5`). */
const ECS_FIELDS =
  /^(?:@timestamp|message|labels|tags|(?:event|agent|container|ecs|error|rule|log)\..+|file\.[^.]+|(?:host|process)\.(?:[^.]+|os\.[^.]+|thread\.[^.]+|user\.[^.]+|group\.[^.]+)|orchestrator\.(?:[^.]+|(?:resource|cluster)\.[^.]+))$/;

function ecsFacts(checkout: Checkout): unknown {
  const flat = parse(checkout.text('generated/ecs/ecs_flat.yml')) as Record<string, EcsField>;
  const fields = Object.entries(flat)
    .filter(([name]) => ECS_FIELDS.test(name))
    .map(([name, { type, normalize, allowed_values: allowed = [] }]) => {
      const values = allowed.length > 0 ? ` values=${allowed.map((value) => value.name).join(',')}` : '';
      return [name, type + (normalize.includes('array') ? '[]' : '') + values];
    });
  const categories = flat['event.category']?.allowed_values ?? [];
  const types = categories.map(({ name, expected_event_types: expected = [] }) => [name, expected.join(' ')]);
  return { fields: Object.fromEntries(fields), eventTypes: Object.fromEntries(types) };
}

const CONVENTIONS = [
  'process',
  'thread',
  'container',
  'k8s',
  'file',
  'host',
  'service',
  'log',
  'error',
  'user',
];

function conventionFacts(checkout: Checkout): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const name of CONVENTIONS) {
    const { groups } = parse(checkout.text(`model/${name}/registry.yaml`)) as {
      groups: { attributes: { id: string; type: string | object }[] }[];
    };
    for (const { id, type } of groups.flatMap((group) => group.attributes))
      attributes[id] = typeof type === 'string' ? type : 'string';
  }
  return attributes;
}

/** Fields of a message, by their names in JSON. */
function messageFacts(proto: string, message: string): Record<string, string> {
  const body = new RegExp(`^message ${message} \\{(.*?)^\\}`, 'ms').exec(proto)?.[1] ?? '';
  const fields = [...body.matchAll(/^ {2}(repeated )?([\w.]+) (\w+) = \d+/gm)];
  return Object.fromEntries(
    fields.map(([, repeated, type = '', name = '']) => [
      name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      `${type.replace(/^.*\./, '')}${repeated ? '[]' : ''}`,
    ]),
  );
}

function write(name: string, source: string, tag: string, facts: unknown): void {
  const head = {
    source: `https://github.com/${source}`,
    tag,
    license: 'Apache-2.0',
    by: 'scripts/published-schemas.ts',
  };
  writeFileSync(
    new URL(`${name}.json`, FOLDER),
    `${JSON.stringify({ ...head, ...(facts as object) }, null, 2)}\n`,
  );
}

const [ocsf = '', ecs = '', conventions = '', proto = ''] = process.argv.slice(2);
if (proto === '') {
  console.error(
    'usage: tsx scripts/published-schemas.ts OCSF-SCHEMA ECS SEMANTIC-CONVENTIONS OPENTELEMETRY-PROTO',
  );
  process.exit(2);
}
const ocsfClasses = ['events/system/kernel_activity.json', 'events/application/application_lifecycle.json'];
const ocsfObjects = [
  'actor',
  'container',
  'device',
  'kernel',
  'metadata',
  'os',
  'process',
  'product',
  'user',
];
write(
  'ocsf',
  'ocsf/ocsf-schema',
  OCSF_VERSION,
  ocsfFacts(openCheckout(ocsf, OCSF_VERSION), ocsfClasses, ocsfObjects),
);
write('ecs', 'elastic/ecs', `v${ECS_VERSION}`, ecsFacts(openCheckout(ecs, `v${ECS_VERSION}`)));
const conventionsTag = `v${SEMANTIC_CONVENTIONS_VERSION}`;
write('semantic-conventions', 'open-telemetry/semantic-conventions', conventionsTag, {
  attributes: conventionFacts(openCheckout(conventions, conventionsTag)),
});
const logs = openCheckout(proto, PROTO_TAG).text('opentelemetry/proto/logs/v1/logs.proto');
const messages = ['LogsData', 'ResourceLogs', 'ScopeLogs', 'LogRecord'];
write('opentelemetry-proto', 'open-telemetry/opentelemetry-proto', PROTO_TAG, {
  messages: Object.fromEntries(messages.map((message) => [message, messageFacts(logs, message)])),
});
