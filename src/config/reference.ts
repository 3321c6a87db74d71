/** The Markdown table of all keys, for docs/config.md. */
import { CONFIG_KEYS, type ConfigKey } from './keys.js';

/** One row a key, in the schema's order; ends with a newline. */
export function renderConfigReference(): string {
  const head = '| Key | Takes | Default | Variable, flag | Meaning |\n| --- | --- | --- | --- | --- |\n';
  return head + CONFIG_KEYS.map(renderRow).join('');
}

function renderRow({ key, allowed, defaultValue, envName, flag, description }: ConfigKey): string {
  const names = [envName, flag].filter((name) => name !== undefined).map((name) => `\`${name}\``);
  const cells = [`\`${key}\``, allowed, `\`${showDefault(defaultValue)}\``, names.join(', '), description];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

function showDefault(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}
