/** The schema's keys as a flat list: what the loader, the command line and the reference walk. */
import * as z from 'zod';
import { configSchema } from './schema.js';

export type KeyType = 'string' | 'integer' | 'boolean' | 'array';

export interface ConfigKey {
  /** Dotted: `filter.mode`. */
  key: string;
  section: string;
  name: string;
  /** `LOOPWARDEN_FILTER_MODE` */
  envName: string;
  flag: string | undefined;
  description: string;
  defaultValue: unknown;
  type: KeyType;
  /** What it may be, in words: `off, observe or hide`, `0 to 65535`. */
  allowed: string;
  schema: z.ZodType;
}

/** All keys, in the schema's order. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.entries(configSchema.shape).flatMap(
  ([section, { shape }]) =>
    Object.entries(shape as Record<string, z.ZodType>).map(([name, schema]) =>
      describeKey(section, name, schema),
    ),
);

export const CONFIG_SECTIONS: readonly string[] = Object.keys(configSchema.shape);

const byKey = new Map(CONFIG_KEYS.map((entry) => [entry.key, entry]));

/** The key of that dotted name, if there is one. */
export function findKey(key: string): ConfigKey | undefined {
  return byKey.get(key);
}

interface LeafJsonSchema {
  type?: string;
  anyOf?: { type: string }[];
  enum?: string[];
  items?: { enum?: string[] };
  minimum?: number;
  maximum?: number;
  default?: unknown;
}

function describeKey(section: string, name: string, schema: z.ZodType): ConfigKey {
  const meta = schema.meta();
  let found: LeafJsonSchema | undefined;
  // Dear, and of most keys never asked for.
  const json = (): LeafJsonSchema => {
    found ??= z.toJSONSchema(schema, { io: 'input' }) as LeafJsonSchema;
    return found;
  };
  return {
    key: `${section}.${name}`,
    section,
    name,
    envName: `LOOPWARDEN_${section}_${name}`.toUpperCase(),
    flag: meta?.flag,
    description: meta?.description ?? '',
    get defaultValue() {
      return json().default;
    },
    get type() {
      return (json().type ?? json().anyOf?.[0]?.type ?? 'string') as KeyType;
    },
    get allowed() {
      return allowedWords(json());
    },
    schema,
  };
}

function allowedWords(json: LeafJsonSchema): string {
  if (json.enum) return listWords(json.enum, 'or');
  if (json.items?.enum) return `list of ${listWords(json.items.enum, 'and')}`;
  if (json.type === 'integer') return `${json.minimum} to ${json.maximum}`;
  if (json.type === 'boolean') return 'true or false';
  return json.type === 'array' ? 'list of text' : 'text';
}

function listWords(words: readonly string[], joint: string): string {
  if (words.length === 1) return words.join();
  return `${words.slice(0, -1).join(', ')} ${joint} ${words.at(-1)}`;
}
