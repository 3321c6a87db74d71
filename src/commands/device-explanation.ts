/** What `loopwarden explain` does. */
import { EXIT, type ExitCode } from '../errors.js';
import type { DeviceReport } from '../web/agent-api.js';
import { localTime } from './clock-text.js';
import { chooseColors } from './color.js';
import type { CommandContext } from './command.js';
import { containerSentence } from './container-word.js';
import { createStory, type StoryLine } from './device-story.js';
import { deviceName } from './event-filter.js';
import { isAbsence, NOW, readEvents } from './event-source.js';
import { parseEvent } from './event-text.js';
import { awaitInterruption } from './interruption.js';
import { notice } from './notice.js';
import { plainText } from './plain-text.js';
import { table } from './table.js';
import { parseTime } from './time-option.js';

export async function explainDevice(context: CommandContext): Promise<ExitCode> {
  const { agent, args, json, options, print } = context;
  const [given = ''] = args;
  const name = deviceName(given);
  const sinceMs = parseTime('--since', options.since);
  const path = `/api/v1/devices/${encodeURIComponent(name)}`;
  let device: DeviceReport | undefined;
  let failure: unknown;
  try {
    device = (await agent.request('GET', path)) as DeviceReport;
  } catch (error) {
    // The log may still know it: no agent runs, or the device has gone.
    failure = error;
  }
  const story = options.story === false ? [] : await tellStory(context, name, sinceMs, isAbsence(failure));
  if (device === undefined && story.length === 0) throw failure;
  if (json) print({ ...(device ?? { name }), story });
  else print(render(device, story, options));
  return EXIT.ok;
}

async function tellStory(
  { agent, loaded, options }: CommandContext,
  name: string,
  sinceMs: number | undefined,
  isAlone: boolean,
): Promise<StoryLine[]> {
  const { signal, end } = awaitInterruption();
  const story = createStory(name);
  const log = options.log === true || isAlone;
  // Most lines are of other devices: not worth parsing.
  const marks = [`"name":"${name}"`, '"kind":"agent"', '"kind":"aggregate"'];
  try {
    const source = readEvents({
      agent,
      auditPath: loaded.config.audit.path,
      log,
      follow: false,
      sinceMs,
      stop: signal,
      onNotice: notice,
    });
    for await (const line of source) {
      if (line === NOW || !marks.some((mark) => line.includes(mark))) continue;
      const event = parseEvent(line);
      if (event === undefined) continue;
      const atMs = Date.parse(`${event.time?.slice(0, 23)}Z`);
      if (sinceMs === undefined || !(atMs < sinceMs)) story.add(event);
    }
  } catch (error) {
    // What is now can be told without what was, unless that was asked for.
    if (options.log === true || !isAlone) throw error;
  } finally {
    end();
  }
  return story.tell();
}

function render(
  device: DeviceReport | undefined,
  story: readonly StoryLine[],
  options: CommandContext['options'],
): string {
  const { bold, yellow, red } = chooseColors(options.color);
  const parts = device ? [facts(device)] : [];
  if (options.story === false) return parts.join('\n');
  parts.push('', bold('story'));
  if (story.length === 0) parts.push('  nothing is remembered of it; --log reads the audit log');
  for (const { time, words, tone } of story) {
    const atMs = Date.parse(`${time?.slice(0, 23)}Z`);
    const text = plainText(words);
    const painted =
      tone === 'failed' ? red(text) : tone === 'hidden' ? yellow(text) : tone === 'life' ? bold(text) : text;
    parts.push(`  ${Number.isNaN(atMs) ? 'at a time not known' : localTime(atMs)}  ${painted}`);
  }
  return parts.join('\n').replace(/^\n/, '');
}

function facts(device: DeviceReport): string {
  const { verdict } = device;
  return table([
    ['device', `${device.name} (${device.devno}, life ${device.diskseq}), ${device.state}`],
    ...(device.on.length > 0
      ? [['stands on', device.on.map((chain) => chain.join(' on ')).join('; ')]]
      : [
          ['backing file', device.backing?.path ?? 'none'],
          ['attached by', attachedBy(device)],
        ]),
    ['owner', ownerSentence(device)],
    ['container', device.container ? containerSentence(device.container) : 'not known'],
    ['host’s udev', `${verdict.verdict === 'hide' ? 'gets no event of it' : 'gets its events'}`],
    ['rule', `${verdict.rule}: ${verdict.words}`],
  ]);
}

function attachedBy({ attachedBy: by, state }: DeviceReport): string {
  if (by) return `${by.comm} (pid ${by.pid}, uid ${by.uid})`;
  return state === 'bound' ? 'not seen by this agent' : 'nobody';
}

const AS = {
  holder: 'as holder',
  creator: 'as creator',
  stacked: 'as the owner of what it stands on',
} as const;

function ownerSentence({ owner, orphan }: DeviceReport): string {
  const { userns, pidns } = owner;
  const state = orphan ? ', which is gone: an orphan' : '';
  const role = owner.as && AS[owner.as];
  if (pidns)
    return `the rootful container in pid namespace ${pidns.inum} (id ${pidns.id}, level ${pidns.level}), ${role}${state}`;
  if (!userns)
    return owner.class === 'initial' ? `the host, as ${owner.as}` : 'unknown, treated as the host’s';
  return `user namespace ${userns.inum} (id ${userns.id}, of uid ${userns.ownerUid}, level ${userns.level}), ${role}${state}`;
}
