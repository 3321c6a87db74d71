import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG_KEYS } from '../../src/config/keys.js';
import { loadConfig } from '../../src/config/load.js';
import { renderConfigReference } from '../../src/config/reference.js';

test('every key has a description, a default that the schema takes, and a variable of its own', () => {
  assert.equal(new Set(CONFIG_KEYS.map(({ envName }) => envName)).size, CONFIG_KEYS.length);
  for (const { key, description, defaultValue, schema } of CONFIG_KEYS) {
    assert.notEqual(description, '', key);
    assert.ok(schema.safeParse(defaultValue).success, key);
  }
});

test('the table has one row a key', () => {
  const rows = renderConfigReference().trimEnd().split('\n');
  assert.equal(rows.length, CONFIG_KEYS.length + 2);
  assert.equal(
    rows.find((row) => row.includes('`http.port`')),
    '| `http.port` | 0 to 65535 | `9847` | `LOOPWARDEN_HTTP_PORT`, `--http-port` | TCP port of the same; 0 lets the kernel choose |',
  );
});

test('every default can be given back as a variable', () => {
  const text = (value: unknown) => (Array.isArray(value) ? value.join(',') : String(value));
  const env = Object.fromEntries(CONFIG_KEYS.map((entry) => [entry.envName, text(entry.defaultValue)]));
  const plain = loadConfig({ defaultPath: '/nonexistent' });
  assert.deepEqual(loadConfig({ defaultPath: '/nonexistent', env }).config, plain.config);
});
