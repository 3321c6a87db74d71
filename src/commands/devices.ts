/** `loopwarden devices`: root's one full view, whatever is hidden from udev. */
import { EXIT, type ExitCode } from '../errors.js';
import type { DeviceReport } from '../web/agent-api.js';
import type { Command } from './command.js';
import { containerWord } from './container-word.js';
import { table, terminalColumns } from './table.js';

export const devices: Command = {
  name: 'devices',
  summary: 'list every loop device with its owner',
  options: [{ flags: '--all', description: 'also those without a backing file that nobody owns' }],
  async action({ agent, json, options, print }): Promise<ExitCode> {
    const all = (await agent.request('GET', '/api/v1/devices')) as DeviceReport[];
    const shown = all.filter((device) => options.all === true || isInteresting(device));
    print(json ? shown : render(shown));
    return EXIT.ok;
  },
};

function isInteresting({ state, owner }: DeviceReport): boolean {
  return state === 'bound' || owner.class === 'userns';
}

const HEAD = [
  'NAME',
  'DEVNO',
  'DISKSEQ',
  'STATE',
  'OWNER',
  'CONTAINER',
  'USERNS',
  'UID',
  'HIDDEN',
  'BACKING-FILE',
];

function render(list: readonly DeviceReport[]): string {
  return table([HEAD, ...list.map(rowOf)], terminalColumns());
}

function rowOf(device: DeviceReport): string[] {
  const { userns } = device.owner;
  return [
    device.name,
    device.devno,
    String(device.diskseq),
    device.state,
    ownerWords(device),
    device.container ? containerWord(device.container) : '-',
    userns ? String(userns.inum) : '-',
    userns ? String(userns.ownerUid) : '-',
    device.hidden ? 'yes' : 'no',
    device.backing?.path ?? '-',
  ];
}

/** `host`, `userns`, `orphan` or `unknown`: one word for a person. */
export function ownerWords({ owner, orphan }: DeviceReport): string {
  if (orphan) return 'orphan';
  return owner.class === 'initial' ? 'host' : owner.class;
}
