/** One value that somebody set: checked against the schema, with where it came from. */
import { createError } from '../errors.js';
import { CONFIG_KEYS, CONFIG_SECTIONS, type ConfigKey } from './keys.js';
import { nearestName } from './nearest.js';

export interface Setting {
  key: string;
  value: unknown;
  /** Told to people beside the value: `/etc/loopwarden/config.yaml:12`, `LOOPWARDEN_FILTER_MODE`, `--audit-log`. */
  origin: string;
}

/**
 * `placeOf`: where the value is for who reads an error; of a list, where that item is.
 *
 * @throws ERR_CONFIG_VALUE when the schema does not take the value.
 */
export function checkSetting(
  entry: ConfigKey,
  value: unknown,
  origin: string,
  placeOf: (item: number | undefined) => string = () => origin,
): Setting {
  const result = entry.schema.safeParse(value);
  if (result.success && value !== undefined) return { key: entry.key, value: result.data, origin };
  const issue = result.error?.issues[0];
  const [at] = issue?.path ?? [];
  const item = Array.isArray(value) && typeof at === 'number' ? at : undefined;
  const wrong = item === undefined ? value : (value as unknown[])[item];
  throw createError(
    'ERR_CONFIG_VALUE',
    { key: entry.key, value: show(wrong), reason: reasonFor(entry, issue) },
    { where: placeOf(item) },
  );
}

/** Text from the environment or a flag becomes the key's type; what does not fit stays text and is refused later. */
export function valueFromText(entry: ConfigKey, text: string): unknown {
  if (entry.type === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (entry.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (entry.type === 'array') return text === '' ? [] : text.split(',').map((item) => item.trim());
  return text;
}

/** Refuses an unknown key of the file. @throws ERR_CONFIG_KEY */
export function refuseKey(key: string, where: string): never {
  const known = CONFIG_KEYS.map((entry) => entry.key);
  const nearest = key.includes('.') ? nearestName(key, known) : nearestName(key, CONFIG_SECTIONS);
  const suggestion = nearest === undefined ? 'docs/config.md lists the keys' : `did you mean "${nearest}"?`;
  throw createError('ERR_CONFIG_KEY', { key: clip(key), suggestion }, { where });
}

/** Refuses an unknown LOOPWARDEN_ variable. @throws ERR_CONFIG_KEY */
export function refuseVariable(name: string): never {
  const nearest = nearestName(
    name,
    CONFIG_KEYS.map((entry) => entry.envName),
  );
  const suggestion =
    nearest === undefined ? 'unset it; docs/config.md lists the names' : `did you mean ${nearest}?`;
  throw createError('ERR_CONFIG_KEY', { key: clip(name), suggestion }, { where: 'environment' });
}

function reasonFor(entry: ConfigKey, issue: { code?: string; message: string } | undefined): string {
  const ownWords =
    issue?.code === 'custom' || issue?.code === 'invalid_format' || issue?.message.startsWith('must');
  return ownWords && issue ? issue.message : `it takes ${entry.allowed}`;
}

function show(value: unknown): string {
  return clip(value === undefined ? 'empty' : JSON.stringify(value));
}

function clip(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
