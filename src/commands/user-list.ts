/** What `loopwarden top` does. */
import { type OwnerClass, ownerClass } from '../devices/owners.js';
import { createError, EXIT, type ExitCode } from '../errors.js';
import { isContainer } from '../identity/container.js';
import type { ActivityReport } from '../sinks/activity.js';
import { jsonText } from '../sinks/json-text.js';
import type { DeviceReport } from '../web/agent-api.js';
import { localTime } from './clock-text.js';
import { chooseColors } from './color.js';
import { chooseColumns, findColumn } from './column.js';
import { alignedTable, objectsOf } from './column-table.js';
import type { CommandContext } from './command.js';
import { showLive } from './live-view.js';
import { terminalColumns } from './table.js';
import { DEFAULT_USER_COLUMNS, type LoopUser, USER_COLUMNS } from './user-columns.js';

const DEFAULT_SECONDS = 2;

export async function showUsers({ agent, json, options, print }: CommandContext): Promise<ExitCode> {
  const columns = chooseColumns(USER_COLUMNS, DEFAULT_USER_COLUMNS, options);
  const sorting = options.sort === undefined ? undefined : findColumn(USER_COLUMNS, String(options.sort));
  const isLive = process.stdout.isTTY === true && !json;
  const rounds =
    numberOption('--iterations', options.iterations, /^[1-9]\d{0,6}$/) ?? (isLive ? undefined : 1);
  const seconds = numberOption('--delay', options.delay, /^\d{1,4}(\.\d{1,3})?$/) ?? DEFAULT_SECONDS;
  if (seconds < 0.1) throw createError('ERR_USAGE', { reason: '--delay must be 0.1 or more' });
  const colors = chooseColors(options.color);

  const draw = async (): Promise<string> => {
    const [devices, activity] = (await Promise.all([
      agent.request('GET', '/api/v1/devices'),
      agent.request('GET', '/api/v1/activity'),
    ])) as [DeviceReport[], ActivityReport];
    const users = joinUsers(devices, activity).filter((user) => options.all === true || isActive(user));
    const order = sorting ?? USER_COLUMNS.find(({ name }) => name === 'IOCTL/S');
    users.sort((a, b) => compare(order?.value?.(b) ?? 0, order?.value?.(a) ?? 0) || b.bound - a.bound);
    if (sorting && !sorting.value) users.sort((a, b) => compare(sorting.text(a), sorting.text(b)));
    if (json) return jsonText(options.output === undefined ? users : objectsOf(users, columns));
    const bound = devices.filter(({ state }) => state === 'bound').length;
    const head = `${localTime(Date.now())}  ${users.length} users, ${devices.length} devices, ${bound} bound`;
    const body = alignedTable(users, columns, { headings: true, colors, columns: terminalColumns() });
    const tail =
      activity.forgotten > 0
        ? `\n${activity.forgotten} that were silent longest are not counted any more`
        : '';
    return `${head}\n\n${body}${tail}`;
  };

  if (rounds === 1) print(await draw());
  else await showLive({ draw, intervalMs: seconds * 1000, ...(rounds !== undefined && { rounds }) });
  return EXIT.ok;
}

/** Who has devices and who did something, a line each. */
export function joinUsers(devices: readonly DeviceReport[], { rows }: ActivityReport): LoopUser[] {
  const users = new Map<string, LoopUser>();
  const demand = (
    container: LoopUser['container'],
    userns: { id: bigint | number | string; inum: number } | null,
    kind: LoopUser['kind'],
  ): LoopUser => {
    const key = container ? `${container.runtime}/${container.id}` : `${kind} ${userns?.id ?? ''}`;
    let user = users.get(key);
    if (user === undefined) {
      user = {
        kind,
        container,
        userns: userns && { id: BigInt(userns.id), inum: userns.inum },
        devices: 0,
        bound: 0,
        orphans: 0,
        total: { ioctls: 0, failures: 0, hiddenUevents: 0 },
        perSecond: { ioctls: 0, failures: 0, hiddenUevents: 0 },
      };
      users.set(key, user);
    }
    return user;
  };
  for (const { container, userns, total, perSecond } of rows) {
    const kind = kindOf(container, ownerClass(BigInt(userns.id)));
    const user = demand(container, kind === 'host' ? null : userns, kind);
    user.userns = { id: BigInt(userns.id), inum: userns.inum };
    Object.assign(user, { total, perSecond });
  }
  for (const { container, owner, state, orphan } of devices) {
    const own = container && isContainer(container) ? container : null;
    const namespace = owner.userns ?? owner.pidns;
    const user = demand(own, namespace, kindOf(own, owner.class));
    user.devices++;
    if (state === 'bound') user.bound++;
    if (orphan) user.orphans++;
    user.userns ??= namespace && { id: BigInt(namespace.id), inum: namespace.inum };
    // The activity of a namespace that only sent uevents knows no number.
    if (user.userns?.inum === 0 && namespace) user.userns.inum = namespace.inum;
  }
  return [...users.values()];
}

function kindOf(container: LoopUser['container'], owner: OwnerClass): LoopUser['kind'] {
  if (container) return 'container';
  if (owner === 'initial') return 'host';
  return owner === 'container' ? 'pidns' : owner;
}

/** A device that nobody has anything to do with makes nobody a user. */
function isActive({ bound, devices, perSecond, total, kind }: LoopUser): boolean {
  if (bound > 0 || perSecond.ioctls > 0 || perSecond.hiddenUevents > 0) return true;
  return kind === 'unknown' || kind === 'host' ? total.ioctls > 0 : devices > 0;
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function numberOption(flag: string, given: unknown, form: RegExp): number | undefined {
  if (given === undefined) return undefined;
  if (form.test(String(given))) return Number(given);
  throw createError('ERR_USAGE', { reason: `${flag} takes a number, not "${String(given).slice(0, 80)}"` });
}
