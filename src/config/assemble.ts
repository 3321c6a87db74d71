/** Puts the config together: defaults < file < LOOPWARDEN_* < flags, and remembers where each value came from. */
import { createError } from '../errors.js';
import { CONFIG_KEYS, findKey } from './keys.js';
import { type Config, configSchema } from './schema.js';
import { checkSetting, refuseVariable, type Setting, valueFromText } from './setting.js';

export const DEFAULT_CONFIG_PATH = '/etc/loopwarden/config.yaml';

export interface ConfigSources {
  /** From --config: must exist. Without it the default path is read if it is there. */
  configPath?: string | undefined;
  env?: Readonly<Record<string, string | undefined>>;
  /** Dotted key → text given with the key's flag; undefined where it was not given. */
  flags?: Readonly<Record<string, string | undefined>>;
  defaultPath?: string;
}

export interface LoadedConfig {
  config: Config;
  /** Dotted key → `default`, `file:line`, the variable's name or the flag. */
  origins: Readonly<Record<string, string>>;
}

/** Reads the settings of a file; undefined when there is none. */
export type ConfigReader = (path: string) => Setting[] | undefined;

/** @throws ERR_CONFIG_UNREADABLE, ERR_CONFIG_KEY, ERR_CONFIG_VALUE, and what `readFile` throws */
export function assembleConfig(sources: ConfigSources, readFile: ConfigReader): LoadedConfig {
  const sections: Record<string, Record<string, unknown>> = {};
  const origins: Record<string, string> = {};
  for (const { key, section } of CONFIG_KEYS) {
    sections[section] ??= {};
    origins[key] = 'default';
  }
  const settings = [
    ...fileSettings(sources, readFile),
    ...environmentSettings(sources.env ?? {}),
    ...flagSettings(sources.flags ?? {}),
  ];
  for (const { key, value, origin } of settings) {
    const [section = '', name = ''] = key.split('.');
    sections[section] = { ...sections[section], [name]: value };
    origins[key] = origin;
  }
  return { config: configSchema.parse(sections), origins };
}

function fileSettings(
  { configPath, defaultPath = DEFAULT_CONFIG_PATH }: ConfigSources,
  readFile: ConfigReader,
): Setting[] {
  const settings = readFile(configPath ?? defaultPath);
  if (settings === undefined && configPath !== undefined) {
    throw createError('ERR_CONFIG_UNREADABLE', { reason: 'there is no such file' }, { where: configPath });
  }
  return settings ?? [];
}

function environmentSettings(env: Readonly<Record<string, string | undefined>>): Setting[] {
  return Object.entries(env).flatMap(([name, text]) => {
    if (!name.startsWith('LOOPWARDEN_') || text === undefined) return [];
    const entry = CONFIG_KEYS.find(({ envName }) => envName === name) ?? refuseVariable(name);
    return [checkSetting(entry, valueFromText(entry, text), name)];
  });
}

function flagSettings(flags: Readonly<Record<string, string | undefined>>): Setting[] {
  return Object.entries(flags).flatMap(([key, text]) => {
    if (text === undefined) return [];
    const entry = findKey(key);
    if (entry === undefined) throw createError('ERR_INTERNAL', { reason: `flag for an unknown key ${key}` });
    return [checkSetting(entry, valueFromText(entry, text), entry.flag ?? `--${key}`)];
  });
}
