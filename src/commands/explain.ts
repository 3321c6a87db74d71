/** `loopwarden explain loopN`: whose it is, what the host's udev gets, and the rule that says so. */
import { createError, EXIT, type ExitCode } from '../errors.js';
import type { DeviceReport } from '../web/agent-api.js';
import type { Command } from './command.js';
import { containerSentence } from './container-word.js';
import { table } from './table.js';

export const explain: Command = {
  name: 'explain',
  argument: 'DEVICE',
  summary: 'tell whose a device is, and what the host’s udev gets and why',
  async action({ agent, args, json, print }): Promise<ExitCode> {
    const [name] = args;
    if (name === undefined) throw createError('ERR_USAGE', { reason: 'explain needs a device' });
    const path = `/api/v1/devices/${encodeURIComponent(name.replace(/^\/dev\//, ''))}`;
    const device = (await agent.request('GET', path)) as DeviceReport;
    print(json ? device : render(device));
    return EXIT.ok;
  },
};

function render(device: DeviceReport): string {
  const { verdict } = device;
  return table([
    ['device', `${device.name} (${device.devno}, life ${device.diskseq}), ${device.state}`],
    ['backing file', device.backing?.path ?? 'none'],
    ['attached by', attachedBy(device)],
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

function ownerSentence({ owner, orphan }: DeviceReport): string {
  const { userns } = owner;
  if (!userns)
    return owner.class === 'initial' ? `the host, as ${owner.as}` : 'unknown, treated as the host’s';
  const state = orphan ? ', which is gone: an orphan' : '';
  return `user namespace ${userns.inum} (id ${userns.id}, of uid ${userns.ownerUid}, level ${userns.level}), as ${owner.as}${state}`;
}
