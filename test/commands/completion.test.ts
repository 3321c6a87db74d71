/** Completion in the shells themselves. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMANDS, eachCommand } from '../../src/commands/catalog.js';
import { completion } from '../../src/commands/completion.js';
import { COMPLETION_SCRIPTS } from '../../src/commands/completion-script.js';
import { command } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { runCommand } from './run-command.js';

type Shell = keyof typeof COMPLETION_SCRIPTS;

/** A skip is earned: where Debian's packages can be had, the setup of the tests installs them. */
async function scriptFor(t: TestContext, shell: Shell): Promise<string | undefined> {
  const { code } = await command('sh', ['-c', `command -v ${shell}`]);
  if (code !== 0) {
    assert.ok(!existsSync('/etc/debian_version'), `${shell} is missing: run npm run setup -- --test`);
    t.skip(`no ${shell}, and this is not Debian`);
    return undefined;
  }
  const path = join(tempFolder(t), `loopwarden.${shell}`);
  writeFileSync(path, COMPLETION_SCRIPTS[shell]());
  return path;
}

/** What bash offers for these words, of which the last is under way. */
async function offeredByBash(script: string, words: readonly string[], folder = '/'): Promise<string[]> {
  const list = words.map((word) => `'${word}'`).join(' ');
  const { code, stdout, stderr } = await command('bash', [
    '--norc',
    '-c',
    `cd '${folder}'; . '${script}'; COMP_WORDS=(${list}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _loopwarden; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ]);
  assert.deepEqual([code, stderr], [0, ''], words.join(' '));
  return stdout.split('\n').filter(Boolean);
}

test('bash completes commands, those of groups, options, and what they take', async (t) => {
  const script = await scriptFor(t, 'bash');
  if (script === undefined) return;
  const offered = (...words: string[]) => offeredByBash(script, ['loopwarden', ...words]);
  assert.deepEqual(
    (await offered('')).filter((word) => !word.startsWith('-') && word !== 'help'),
    COMMANDS.map(({ name }) => name),
  );
  assert.deepEqual(await offered('dev'), ['devices']);
  assert.deepEqual(await offered('loopfs', 'at'), ['attach']);
  assert.deepEqual(await offered('policy', ''), ['check']);
  assert.deepEqual(await offered('filter', 'o'), ['on', 'off', 'observe']);
  assert.deepEqual(await offered('completion', 'z'), ['zsh']);
  assert.deepEqual(await offered('devices', '--own'), ['--owner']);
  assert.deepEqual(await offered('devices', '--owner', ''), [
    'host',
    'userns',
    'container',
    'orphan',
    'unknown',
  ]);
  assert.deepEqual(await offered('devices', '--color', '=', 'al'), ['always']);
  assert.deepEqual(await offered('devices', '--color', '='), ['auto', 'always', 'never']);
  assert.deepEqual(await offered('devices', '-o', 'NAME,BACK-F'), ['NAME,BACK-FILE']);
  assert.deepEqual(await offered('devices', '-o', '+POD'), ['+POD']);
  assert.deepEqual(await offered('events', '--json', '--command', 'LOOP_CONF'), ['LOOP_CONFIGURE']);
  assert.deepEqual(await offered('run', '--filter-mode', 'h'), ['hide']);
  assert.deepEqual(await offered('events', '--since', ''), []);
  assert.deepEqual(await offered('nonsense', ''), []);
});

test('bash completes devices of this host, and files', async (t) => {
  const script = await scriptFor(t, 'bash');
  if (script === undefined) return;
  const loops = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  const offered = await offeredByBash(script, ['loopwarden', 'explain', 'loop']);
  for (const name of loops) assert.ok(offered.includes(name), name);
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'config of mine.yaml'), '');
  assert.deepEqual(await offeredByBash(script, ['loopwarden', 'policy', 'check', 'con'], folder), [
    'config of mine.yaml',
  ]);
});

test('each option of each command is completed', async (t) => {
  const script = await scriptFor(t, 'bash');
  if (script === undefined) return;
  for (const [above, { name, options = [] }] of eachCommand()) {
    const offered = await offeredByBash(script, ['loopwarden', ...above, name, '-']);
    for (const flag of [
      '--json',
      '--color',
      '--config',
      '--help',
      ...options.flatMap(({ flags }) => flags.match(/--[a-z-]+/g) ?? []),
    ])
      assert.ok(offered.includes(flag), `${name} ${flag}`);
  }
});

test('zsh and fish take their scripts', async (t) => {
  for (const shell of ['zsh', 'fish'] as const) {
    const script = await scriptFor(t, shell);
    if (script === undefined) continue;
    const { code, stderr } = await command(shell, ['-n', script]);
    assert.deepEqual([code, stderr], [0, ''], shell);
  }
});

test('fish completes commands, those of groups and what options take', async (t) => {
  const script = await scriptFor(t, 'fish');
  if (script === undefined) return;
  const offered = async (line: string): Promise<string[]> => {
    const env = {
      ...process.env,
      HOME: tempFolder(t),
      XDG_CONFIG_HOME: tempFolder(t),
      XDG_DATA_HOME: tempFolder(t),
    };
    const { stdout, stderr } = await command(
      'fish',
      ['--no-config', '-c', `source ${script}; complete -C '${line}'`],
      env,
    );
    assert.equal(stderr, '');
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((word) => word.split('\t')[0] ?? '');
  };
  assert.deepEqual(await offered('loopwarden dev'), ['devices']);
  assert.deepEqual(await offered('loopwarden loopfs at'), ['attach']);
  assert.deepEqual(await offered('loopwarden devices --owner or'), ['orphan']);
  assert.deepEqual(await offered('loopwarden filter ob'), ['observe']);
});

test('zsh loads its script, and every function that it calls is there', async (t) => {
  const script = await scriptFor(t, 'zsh');
  if (script === undefined) return;
  const check = `autoload -U compinit; compinit -u -D; . ${script}; (( $+functions[_loopwarden] )) && [[ \${_comps[loopwarden]} = _loopwarden ]] || exit 3
for name in \${(k)functions[(I)_loopwarden*]}; do for called in \${(M)\${(z)functions[$name]}:#_loopwarden*}; do (( $+functions[$called] )) || { print -u2 "no $called"; exit 4 }; done; done`;
  const env = { ...process.env, HOME: tempFolder(t), ZDOTDIR: tempFolder(t) };
  assert.deepEqual(await command('zsh', ['-f', '-c', check], env), { code: 0, stdout: '', stderr: '' });
});

test('a shell that there is no script for is refused', async () => {
  await assert.rejects(runCommand(completion, {}, { args: ['tcsh'] }), { code: 'ERR_USAGE' });
  await assert.rejects(runCommand(completion, {}, { args: ['constructor'] }), { code: 'ERR_USAGE' });
  assert.match((await runCommand(completion, {}, { args: ['zsh'] })).text, /^#compdef loopwarden\n/);
});
