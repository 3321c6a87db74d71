/** A folder of the demo's own for all that it writes, gone with it; and the config for commands in another terminal. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { assembleConfig, type LoadedConfig } from '../config/assemble.js';
import type { Config } from '../config/schema.js';
import { createError, reasonOf } from '../errors.js';

/** What a demo takes from the command line and the environment; the rest of the host's config is none of its business. */
const TAKEN = ['http.address', 'http.port', 'api.socket', 'log.level'] as const;

export interface DemoHome {
  folder: string;
  /** Of the config that leads other commands here. */
  configPath: string;
  loaded: LoadedConfig;
  /** Writes the config; the URL is known by then. */
  writeConfig(port: number): void;
  remove(): void;
}

/** @throws ERR_USAGE for a flag that would lead out of the folder, or where none can be made */
export function makeHome(given: LoadedConfig, more: Record<string, unknown> = {}): DemoHome {
  const chosen = chosenKeys(given);
  const folder = makeFolder();
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // However the process ends, other than by SIGKILL.
  process.once('exit', remove);
  const configPath = join(folder, 'config.yaml');
  const settings: Record<string, unknown> = {
    'api.socket': join(folder, 'api.sock'),
    'audit.path': join(folder, 'audit.ndjson'),
    'audit.key_path': join(folder, 'audit.key'),
    'loopfs.socket': join(folder, 'loopfs.sock'),
    'loopfs.folder': join(folder, 'loopfs'),
    ...more,
    ...chosen,
  };
  const loaded = assembleConfig({ defaultPath: configPath }, () =>
    Object.entries(settings).map(([key, value]) => ({ key, value, origin: 'demo' })),
  );
  return {
    folder,
    configPath,
    loaded,
    writeConfig(port) {
      writeFileSync(configPath, stringify(sectionsOf({ ...settings, 'http.port': port })), { mode: 0o600 });
    },
    remove() {
      process.removeListener('exit', remove);
      remove();
    },
  };
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'loopwarden-demo-'));
  } catch (error) {
    throw createError('ERR_USAGE', {
      reason: `cannot make the demo’s folder in ${tmpdir()}: ${reasonOf(error)}: set TMPDIR to one that can be written`,
    });
  }
}

function chosenKeys({ config, origins }: LoadedConfig): Record<string, unknown> {
  const isTaken = (key: string): boolean => TAKEN.some((each) => each === key);
  const flag = Object.entries(origins).find(([key, origin]) => origin.startsWith('--') && !isTaken(key));
  if (flag)
    throw createError('ERR_USAGE', {
      reason: `${flag[1]} is not for a demo, which keeps to a folder of its own`,
    });
  const isGiven = (key: string): boolean => /^(--|LOOPWARDEN_)/.test(origins[key] ?? '');
  return Object.fromEntries(TAKEN.filter(isGiven).map((key) => [key, configValue(config, key)]));
}

function configValue(config: Config, key: string): unknown {
  const [section = '', name = ''] = key.split('.');
  return (config as unknown as Record<string, Record<string, unknown>>)[section]?.[name];
}

function sectionsOf(settings: Record<string, unknown>): Record<string, Record<string, unknown>> {
  const sections: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(settings)) {
    const [section = '', name = ''] = key.split('.');
    sections[section] = { ...sections[section], [name]: value };
  }
  return sections;
}
