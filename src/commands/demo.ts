/** `loopwarden demo`: everything to see in a minute, from a recording; with --live on this kernel. */
import type { Command } from './command.js';

export const demo: Command = {
  name: 'demo',
  summary: 'show it all: a recording without root, or with --live the real thing, step by step',
  details: [
    'Without --live it plays what an agent got from a real kernel through everything above the kernel: the live page, metrics, the audit log, and the other commands (by --config, it says how). It needs no root, keeps to a folder of its own in $TMPDIR, begins anew when it has ended, and removes the folder when it is stopped.',
    'With --live, as root, it acts the same out on this kernel, says of each step what it does and what was seen, and cleans up after it. It starts an agent of its own; one that runs already is used, and neither stopped nor changed. It ends with 1 if a step did not show what it should, or when it was interrupted.',
  ],
  options: [
    { flags: '--speed <factor>', description: 'how fast the recording plays, 0.1 to 100 (default 1)' },
    { flags: '--once', description: 'end with the recording' },
    {
      flags: '--recording <file>',
      description: 'another recording than the one that comes along (npm run record-demo makes one)',
      values: 'file',
    },
    { flags: '--live', description: 'act it out on this kernel, as root' },
    { flags: '--pause', description: 'with --live: wait for Enter after each step' },
  ],
  examples: [
    { words: 'demo', what: 'a page with something on it, in a minute, as anybody' },
    { words: 'demo --once --speed 10', what: 'the recording in a few seconds' },
    { words: 'demo --live --pause', what: 'on this kernel, at your own pace' },
  ],
  async action(context) {
    const { options } = context;
    if (options.live === true) {
      const { showLiveDemo } = await import('./demo-live.js');
      return showLiveDemo(context);
    }
    const { showRecording } = await import('./demo-recording.js');
    return showRecording(context);
  },
};
