/** What `loopwarden devices` does. */
import { createError, EXIT, type ExitCode } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import type { DeviceReport } from '../web/agent-api.js';
import { chooseColors } from './color.js';
import { type Column, chooseColumns, findColumn } from './column.js';
import { alignedTable, objectsOf, rawTable } from './column-table.js';
import type { CommandContext } from './command.js';
import { DEFAULT_DEVICE_COLUMNS, DEVICE_COLUMNS, inBytes } from './device-columns.js';
import { deviceFilter } from './device-filter.js';
import { REFUSED_COLUMNS } from './disk-columns.js';
import { showLive } from './live-view.js';
import { terminalColumns } from './table.js';

/** Sizes and owners' deaths are no events. */
const WATCH_MS = 2000;

export async function listDevices({ agent, json, options, print }: CommandContext): Promise<ExitCode> {
  const wanted = deviceFilter(options);
  const chosen = chooseColumns(DEVICE_COLUMNS, DEFAULT_DEVICE_COLUMNS, options, REFUSED_COLUMNS);
  const columns = options.bytes === true ? inBytes(chosen) : chosen;
  const order =
    options.sort === undefined
      ? undefined
      : findColumn(DEVICE_COLUMNS, String(options.sort), REFUSED_COLUMNS);
  if (json && options.raw === true)
    throw createError('ERR_USAGE', { reason: '--json and --raw do not go together' });

  const list = async (): Promise<DeviceReport[]> => {
    const all = (await agent.request('GET', '/api/v1/devices')) as DeviceReport[];
    const shown = all.filter(wanted);
    return order ? sortBy(shown, order) : shown;
  };
  const render = (rows: readonly DeviceReport[]): string => {
    const headings = options.noheadings !== true;
    if (options.raw === true) return rawTable(rows, columns, headings);
    return alignedTable(rows, columns, {
      headings,
      colors: chooseColors(options.color),
      columns: terminalColumns(),
    });
  };
  const asJson = (rows: readonly DeviceReport[]): unknown =>
    options.output === undefined && options.outputAll !== true ? rows : objectsOf(rows, columns);

  if (options.watch === true) {
    const draw = async () => (json ? jsonText(asJson(await list())) : render(await list()));
    await showLive({ draw, agent, intervalMs: WATCH_MS });
    return EXIT.ok;
  }
  const rows = await list();
  const text = json ? asJson(rows) : render(rows);
  // Nothing to say without headings: not even an empty line.
  if (text !== '') print(text);
  return EXIT.ok;
}

function sortBy(rows: readonly DeviceReport[], column: Column<DeviceReport>): DeviceReport[] {
  const collator = new Intl.Collator('en', { numeric: true });
  const key = (row: DeviceReport): unknown => column.value?.(row) ?? column.text(row);
  return [...rows].sort((a, b) => {
    const [first, second] = [key(a), key(b)];
    if (typeof first === 'number' && typeof second === 'number') return first - second;
    return collator.compare(String(first), String(second));
  });
}
