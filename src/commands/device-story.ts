/** The lives of one device as sentences, from the events that tell of it. */
import { ownerClass } from '../devices/owners.js';
import type { FilterModeName } from '../kernel/settings.js';
import { explainVerdict, ruleWords } from '../policy/explanation.js';
import type { EventText } from './event-text.js';
import {
  actor,
  fileWords,
  ownerWords,
  settingsWords,
  troubleWords,
  usernsIdOf,
  wholeNumber,
} from './event-words.js';
import { createLatest } from './latest.js';

export interface StoryLine {
  /** RFC 3339; null where the event had none. */
  time: string | null;
  words: string;
  /** life: one begins or ends; hidden: from the host. */
  tone: 'life' | 'hidden' | 'failed' | 'plain';
}

export interface Story {
  /** In the order in which they happened; those of other devices are left out. */
  add(event: EventText): void;
  tell(): StoryLine[];
}

interface Sentence extends StoryLine {
  /** Sentences that follow each other with the same one are told once. */
  fold: string | undefined;
  times: number;
  lastTime: string | null;
  /** Of what was counted instead of recorded: how much it was in all. */
  counted: bigint;
}

/** Sentences that are kept, the newest. */
const MOST = 1000;

export function createStory(name: string): Story {
  const told = createLatest<Sentence>(MOST);
  let last: Sentence | undefined;
  let isBound = false;
  let mode: FilterModeName = 'hide';

  const tell = (event: EventText, words: string, tone: StoryLine['tone'] = 'plain', fold?: string): void => {
    const time = event.time ?? null;
    if (fold !== undefined && last?.fold === fold) {
      last.times++;
      last.lastTime = time;
      return;
    }
    last = { time, words, tone, fold, times: 1, lastTime: time, counted: 0n };
    told.add(last);
  };

  /** What was past its caller's budget in a second: of this device, or of several, and nobody knows whether of this one. */
  const tellAggregate = (event: EventText): void => {
    const { command = 'an event', result, verdict, aggregate = {} } = event;
    const { of, count, devices } = aggregate;
    if (devices !== 'one' && devices !== 'several') return;
    const what = of === 'uevent' ? `uevents “${command}” (${verdict})` : `calls of ${command} (${result})`;
    const where = devices === 'one' ? '' : ' on several devices, this one perhaps among them,';
    const words = `${what}${where} were counted instead of recorded, the first by ${actor(event)}`;
    tell(event, words, 'plain', `${devices} ${words}`);
    if (last) last.counted += wholeNumber(count);
  };

  const tellAgent = (event: EventText): void => {
    const { command = '' } = event;
    const next = /^filter_(off|observe|hide)$/.exec(command)?.[1] as FilterModeName | undefined;
    if (next) mode = next;
    const words = next ? `filter.mode became ${next}` : AGENT_WORDS[command];
    if (isBound && words) tell(event, event.gap ? `${event.gap.records ?? 0} ${words}` : words);
  };

  const tellIoctl = (event: EventText): void => {
    const { command = '', result, owner = {} } = event;
    const who = actor(event);
    if (result !== 'ok') {
      tell(
        event,
        `${who} tried ${command} and got ${result}${troubleWords(command, result)}`,
        'failed',
        `${who} ${command} ${result}`,
      );
      return;
    }
    if (command === 'LOOP_CONFIGURE' || command === 'LOOP_SET_FD') {
      isBound = true;
      tell(
        event,
        `${who} attached ${fileWords(event)}: life ${event.device?.diskseq ?? '?'} begins, owned by ${ownerWords(owner.after, event)}`,
        'life',
      );
      tellVerdict(event);
    } else if (command === 'LOOP_CLR_FD') {
      isBound = event.backing !== undefined;
      const words = isBound
        ? 'its life ends with the last close'
        : `life ${event.device?.diskseq ?? '?'} ends`;
      tell(event, `${who} detached the file: ${words}`, 'life');
    } else if (command === 'LOOP_CTL_REMOVE') {
      tell(event, `${who} removed the device`, 'life');
    } else if (command === 'LOOP_CTL_ADD' || command === 'LOOP_CTL_GET_FREE') {
      const isNew = command === 'LOOP_CTL_ADD' || String(owner.before ?? 0) !== String(owner.after ?? 0);
      const words = isNew
        ? 'made the device, and is its creator'
        : 'asked for a free device, and was told of this one';
      tell(event, `${who} ${words}`, 'plain', isNew ? undefined : `${who} ${command}`);
    } else {
      const words = CHANGES[command]?.(event) ?? `called ${command}`;
      tell(event, `${who} ${words}`, 'plain', `${who} ${words}`);
    }
  };

  /** What follows for the host, by the same rules as in the kernel. */
  const tellVerdict = (event: EventText): void => {
    const id = usernsIdOf(event.owner?.after);
    const { verdict, rule, words } = explainVerdict({ class: ownerClass(id), as: 'holder' }, mode);
    if (verdict === 'hide')
      tell(event, `from now on the host’s udev gets none of its events (rule ${rule}: ${words})`, 'hidden');
    else tell(event, `the host’s udev gets its events (rule ${rule}: ${words})`);
  };

  const tellUevent = (event: EventText): void => {
    const { command = 'an event', verdict, rule = '' } = event;
    const what =
      verdict === 'hide'
        ? `uevent “${command}” was hidden from the host`
        : `uevent “${command}” was delivered to the host`;
    tell(
      event,
      `${what} (rule ${rule}: ${ruleWords(rule, ownerClass(usernsIdOf(event.owner?.before)))})`,
      verdict === 'hide' ? 'hidden' : 'plain',
      `${verdict} ${rule} ${command}`,
    );
  };

  return {
    add(event) {
      if (event.kind === 'agent') tellAgent(event);
      else if (event.aggregate?.devices === 'several') tellAggregate(event);
      else if (event.device?.name !== name) return;
      else if (event.kind === 'aggregate') tellAggregate(event);
      else if (event.kind === 'ioctl') tellIoctl(event);
      else if (event.kind === 'uevent') tellUevent(event);
      else if (event.kind === 'life') {
        isBound = false;
        tell(
          event,
          `the last user (${actor(event)}) closed it, and the kernel let go of ${fileWords(event)}: life ${event.device.diskseq ?? '?'} ends`,
          'life',
        );
      }
    },
    tell() {
      const left = told.dropped();
      const lines = told.take().map(({ time, words, tone, times, lastTime, counted }) => {
        const until = `until ${lastTime?.slice(11, 19) ?? '?'} UTC`;
        const tail = times === 1 ? '' : counted > 0n ? ` (${until})` : ` (${times} times, ${until})`;
        return { time, words: `${counted > 0n ? `${counted} ` : ''}${words}${tail}`, tone };
      });
      const [first] = lines;
      if (left > 0 && first)
        lines.unshift({
          time: first.time,
          words: `${left} earlier events are left out: see loopwarden events --log`,
          tone: 'plain',
        });
      return lines;
    },
  };
}

const AGENT_WORDS: Readonly<Record<string, string>> = {
  start: 'the agent started',
  stop: 'the agent stopped: what it had decided goes on',
  gap: 'records were lost here',
};

const CHANGES: Readonly<Record<string, (event: EventText) => string>> = {
  LOOP_CHANGE_FD: (event) => `changed the file to ${fileWords(event)}`,
  LOOP_SET_STATUS: (event) => `set ${settingsWords(event) || 'its defaults'}`,
  LOOP_SET_STATUS64: (event) => `set ${settingsWords(event) || 'its defaults'}`,
  LOOP_GET_STATUS: () => 'asked for its state',
  LOOP_GET_STATUS64: () => 'asked for its state',
  LOOP_SET_CAPACITY: () => 'had the size of the file read anew',
  LOOP_SET_DIRECT_IO: ({ config }) =>
    `turned direct I/O ${config?.flags?.includes('DIRECT_IO') ? 'on' : 'off'}`,
  LOOP_SET_BLOCK_SIZE: ({ config }) => `set sectors of ${config?.block_size ?? '?'} bytes`,
};
