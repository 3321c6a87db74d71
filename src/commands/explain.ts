/** `loopwarden explain loopN`: whose it is, what the host's udev gets, the rule that says so, and how it came to that. */
import type { Command } from './command.js';

export const explain: Command = {
  name: 'explain',
  argument: 'DEVICE',
  argumentValues: 'device',
  summary: 'tell whose a device is, what the host’s udev gets and why, and the story of its lives',
  details: [
    'The story is told from the events that the agent remembers; with --log, and where no agent answers, from the audit log with its rotated files. Uevents are in the log only if audit.kinds has them.',
  ],
  options: [
    { flags: '--log', description: 'the story from the audit log' },
    { flags: '--since <time>', description: 'the story from then on: 10m, today, 2026-11-25 04:40' },
    { flags: '--no-story', description: 'only what is now' },
  ],
  examples: [
    { words: 'explain loop7', what: 'whose it is, and why' },
    { words: 'explain /dev/loop7 --log --since yesterday', what: 'its lives since yesterday' },
  ],
  async action(context) {
    const { explainDevice } = await import('./device-explanation.js');
    return explainDevice(context);
  },
};
