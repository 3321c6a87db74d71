/** `loopwarden doctor`: what this kernel allows, what the agent made of it, and how to mend what is missing. */
import { DEFAULT_CONFIG_PATH } from '../config/assemble.js';
import { EXIT } from '../errors.js';
import type { Command } from './command.js';

export const doctor: Command = {
  name: 'doctor',
  summary: 'show what the kernel allows, the link of each hook and why, what is degraded and how to mend it',
  details: [
    'With --fix it mounts the BPF file system, loads the loop driver, takes the config from everybody but root, makes the audit log’s folder, and removes sockets that nobody answers on. Each is told; what is right is left alone, and so are all devices.',
    'The exit code is 1 if a hook finds no link, or something could not be mended.',
  ],
  options: [{ flags: '--fix', description: 'mend what can be mended without a risk' }],
  examples: [
    { words: 'doctor', what: 'what is wrong' },
    { words: 'doctor --fix', what: 'mend it' },
  ],
  async action({ loaded, agent, json, print, options }) {
    const [
      { probeKernel },
      { loadNative },
      { checkPermission },
      diagnosis,
      text,
      { mendHost },
      { chooseColors },
      { terminalColumns },
    ] = await Promise.all([
      import('../kernel/features.js'),
      import('../kernel/native.js'),
      import('../kernel/permission.js'),
      import('./diagnosis.js'),
      import('./diagnosis-text.js'),
      import('./mends.js'),
      import('./color.js'),
      import('./table.js'),
    ]);
    const native = loadNative();
    checkPermission(native);
    const patient = {
      config: loaded.config,
      configPath: typeof options.config === 'string' ? options.config : DEFAULT_CONFIG_PATH,
      mountBpffs: (folder: string) => native.mountBpffs(folder),
    };
    const mends = await mendHost(patient, options.fix === true);
    const answer = await diagnosis.askAgent(agent);
    const found = diagnosis.diagnose(probeKernel(native), answer, loaded, mends);
    print(json ? found : text.renderDiagnosis(found, chooseColors(options.color), terminalColumns()));
    const isWell =
      found.hooks.every(({ state }) => state !== 'failed' && state !== 'unsupported') &&
      mends.every(({ mended }) => mended !== false);
    return isWell ? EXIT.ok : EXIT.no;
  },
};
