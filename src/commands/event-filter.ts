/** Which events are shown. */
import { FILTER_MODES } from '../config/schema.js';
import { isOwned, ownerClass } from '../devices/owners.js';
import { createError } from '../errors.js';
import { LOOP_COMMAND_NAMES, UEVENT_ACTION_NAMES } from '../kernel/abi.js';
import { isContainerOf } from './container-filter.js';
import { type EventText, parseEvent, timeOfLine } from './event-text.js';
import { usernsIdOf } from './event-words.js';
import { type OwnerWish, parseOwner } from './owner-filter.js';
import { parseTime } from './time-option.js';

export interface EventFilter {
  /** Whether the line is shown. */
  takes(line: string): boolean;
  sinceMs: number | undefined;
  untilMs: number | undefined;
}

export const EVENT_OWNER_WORDS = ['host', 'userns', 'container', 'unknown'] as const;
/** What else than an ioctl a line may tell. */
const LIFE_COMMANDS = ['release'];
const UEVENT_COMMANDS = [...UEVENT_ACTION_NAMES.values()].map((name) => name.toLowerCase());
const AGENT_COMMANDS = [
  'start',
  'stop',
  'gap',
  'quarantine',
  ...FILTER_MODES.map((mode) => `filter_${mode}`),
];
export const EVENT_COMMANDS: readonly string[] = [
  ...LOOP_COMMAND_NAMES.values(),
  ...LIFE_COMMANDS,
  ...UEVENT_COMMANDS,
  ...AGENT_COMMANDS,
];

type Test = (event: EventText) => boolean;

/** Options are joined by "and". @throws ERR_USAGE */
export function eventFilter(options: Readonly<Record<string, unknown>>): EventFilter {
  const sinceMs = parseTime('--since', options.since);
  const untilMs = parseTime('--until', options.until);
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs > untilMs)
    throw createError('ERR_USAGE', { reason: '--since is after --until' });
  const tests = [
    ownerTest(parseOwner(options.owner, EVENT_OWNER_WORDS)),
    commandTest(options.command),
    options.failed === true ? hasFailed : undefined,
    deviceTest(options.device),
    containerTest(options.container),
  ].filter((test) => test !== undefined);
  return {
    sinceMs,
    untilMs,
    takes(line) {
      if (sinceMs !== undefined || untilMs !== undefined) {
        const atMs = timeOfLine(line);
        // What has no time, such as a gap of the stream, is told whatever is asked for.
        if (atMs !== undefined && (atMs < (sinceMs ?? atMs) || atMs > (untilMs ?? atMs))) return false;
      }
      if (tests.length === 0) return true;
      const event = parseEvent(line);
      if (event?.kind === 'gap') return true;
      return event !== undefined && tests.every((test) => test(event));
    },
  };
}

/** An ioctl that ended in an errno. */
export function hasFailed({ result }: EventText): boolean {
  return result !== undefined && result !== 'ok';
}

function ownerTest(wish: OwnerWish | undefined): Test | undefined {
  if (wish === undefined) return undefined;
  if ('userns' in wish)
    return ({ owner = {}, caller }) =>
      [owner.before, owner.after, caller?.userns?.id, caller?.userns?.inum].some(
        (id) => id !== undefined && String(id) === wish.userns,
      );
  return ({ owner }) => {
    if (owner === undefined) return false;
    // Whoever it was before or is after; of a release both count, too.
    const classes = [owner.before, owner.after].map((id) => ownerClass(usernsIdOf(id)));
    if (wish.word === 'userns' || wish.word === 'container') return classes.includes(wish.word);
    if (classes.some(isOwned)) return false;
    return (wish.word === 'host') === classes.includes('initial');
  };
}

/** `LOOP_CONFIGURE`, `configure`, a list of them. */
function commandTest(given: unknown): Test | undefined {
  if (given === undefined) return undefined;
  const wanted = String(given)
    .split(',')
    .filter(Boolean)
    .map((word) => {
      const upper = word.toUpperCase().replaceAll('-', '_');
      return (
        EVENT_COMMANDS.find(
          (each) => each === upper.toLowerCase() || each === upper || each === `LOOP_${upper}`,
        ) ?? refuse(word)
      );
    });
  return ({ command }) => command !== undefined && wanted.includes(command);
}

function refuse(word: string): never {
  throw createError('ERR_USAGE', {
    reason: `--command takes ${EVENT_COMMANDS.join(', ')}, not "${word.slice(0, 80)}"`,
  });
}

function deviceTest(given: unknown): Test | undefined {
  if (given === undefined) return undefined;
  const name = deviceName(String(given));
  return ({ device }) => device?.name === name;
}

/** `loop3` of `/dev/loop3`, `loop3p1`, whose owner is that of the disk, `3` and itself. */
export function deviceName(given: string): string {
  const name = given.replace(/^\/dev\//, '').replace(/^(loop\d+)p\d+$/, '$1');
  return /^\d+$/.test(name) ? `loop${name}` : name;
}

function containerTest(given: unknown): Test | undefined {
  if (given === undefined) return undefined;
  return ({ container }) => container !== undefined && isContainerOf(String(given), container);
}
