/** The command line as a user has it: the built command, in a process of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { COMMANDS, eachCommand } from '../../src/commands/catalog.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { VERSION } from '../../src/version.js';
import { command, type Outcome } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

/** loopwarden where no agent listens. */
function loopwarden(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const socket = join(tempFolder(t), 'api.sock');
  return command(process.execPath, [join(PACKAGE_ROOT, 'dist/main.js'), ...args], {
    ...process.env,
    LOOPWARDEN_API_SOCKET: socket,
    LOOPWARDEN_AUDIT_PATH: `${socket}.ndjson`,
    ...env,
  });
}

test('a wrong command line is one line on stderr, and exit code 2', async (t) => {
  const lines = {
    'an unknown command': [['devcies'], /unknown command 'devcies'/],
    'an unknown option': [['devices', '--al'], /unknown option '--al'/],
    'an option before the command': [['--json', 'devices'], /unknown option '--json'/],
    'a missing argument': [['explain'], /missing required argument 'DEVICE'/],
    'an argument too many': [['devices', 'loop3'], /too many arguments/],
    'an option without its value': [['devices', '--socket'], /argument missing/],
    'a word that filter does not know': [['filter', 'maybe'], /filter takes on, off or observe, not "maybe"/],
    'a value that cannot be': [
      ['devices', '--http-port', 'ten'],
      /^loopwarden: --http-port: http\.port cannot be/,
    ],
    'a colour that is none': [['devices', '--color', 'red'], /--color takes auto, always, never/],
    'a column that there is not': [['devices', '-o', 'NAEM'], /no column "NAEM": did you mean NAME/],
    'a time that is none': [['events', '--since', 'soon'], /--since takes 10m/],
    'a shell without a script': [['completion', 'tcsh'], /completion takes bash, zsh or fish/],
    'a config that is not there': [['devices', '--config', '/nonexistent/c.yaml'], /there is no such file/],
    'a name that steers the terminal': [['\u001b[2J\n\u202e'], /unknown command '\\u001b\[2J\\u000a\\u202e'/],
  } as const;
  await Promise.all(
    Object.entries(lines).map(async ([what, [args, expected]]) => {
      const { code, stdout, stderr } = await loopwarden(t, args);
      assert.deepEqual([code, stdout], [2, ''], what);
      assert.match(stderr, /^loopwarden: [^\n]+; [^\n]+\n$/, what);
      assert.match(stderr, expected, what);
    }),
  );
});

test('a wrong variable is one line, and exit code 2', async (t) => {
  for (const name of ['LOOPWARDEN_HTTP_PORT', 'LOOPWARDEN_NO_SUCH_KEY']) {
    const { code, stderr } = await loopwarden(t, ['devices'], { [name]: 'x' });
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^loopwarden: [^\\n]*${name}[^\\n]*\\n$`));
  }
});

test('a wrong config is one line with its place, and exit code 2', async (t) => {
  const path = join(tempFolder(t), 'config.yaml');
  writeFileSync(path, 'filter:\n  mode: sometimes\n');
  const { code, stderr } = await loopwarden(t, ['devices', '--config', path]);
  assert.equal(code, 2);
  assert.match(stderr, /^loopwarden: [^\n]*config\.yaml:2:\d+: filter\.mode cannot be [^\n]*\n$/);
});

test('without a command the help is shown, once, and the exit code is 2', async (t) => {
  for (const args of [[], ['help', 'devcies']]) {
    const { code, stdout, stderr } = await loopwarden(t, args);
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal(stderr.split('Usage: loopwarden').length, 2);
    assert.doesNotMatch(stderr, /outputHelp/);
  }
});

test('--help lists every command with what it does, and ends well', async (t) => {
  for (const args of [['--help'], ['help'], ['-h']]) {
    const { code, stdout, stderr } = await loopwarden(t, args);
    assert.deepEqual([code, stderr], [0, '']);
    const text = stdout.replace(/\s+/g, ' ');
    for (const { name, summary } of COMMANDS) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
      assert.ok(text.includes(summary), name);
    }
  }
});

test('each command has help of its own, with its options', async (t) => {
  await Promise.all(
    eachCommand().map(async ([above, { name, argument, summary, options = [], examples = [] }]) => {
      const { code, stdout } = await loopwarden(t, [...above, name, '--help']);
      assert.equal(code, 0);
      const text = stdout.replace(/\s+/g, ' ');
      assert.ok(text.includes(summary), name);
      if (argument) assert.ok(stdout.includes(`<${argument}>`), name);
      for (const { flags } of options) assert.ok(stdout.includes(flags), `${name} ${flags}`);
      assert.match(stdout, /--json /);
      for (const { words } of examples) assert.ok(stdout.includes(`    loopwarden ${words}\n`), words);
    }),
  );
});

test('--version is the package’s', async (t) => {
  for (const flag of ['--version', '-V']) {
    assert.deepEqual(await loopwarden(t, [flag]), { code: 0, stdout: `${VERSION}\n`, stderr: '' });
  }
});

test('what needs an agent says that none is running, and ends with 69', async (t) => {
  for (const args of [
    ['devices'],
    ['devices', '--json'],
    ['events'],
    ['events', '-f'],
    ['devices', '--watch'],
    ['top'],
    ['explain', 'loop0'],
    ['filter', 'on'],
  ]) {
    const { code, stdout, stderr } = await loopwarden(t, args);
    assert.deepEqual([code, stdout], [69, ''], args.join(' '));
    assert.match(
      stderr,
      /^loopwarden: no agent answers on [^\n]+api\.sock; start it with loopwarden run[^\n]*\n$/,
    );
  }
});

test('a socket that nobody answers on any more is no agent either', async (t) => {
  const socket = join(tempFolder(t), 'left.sock');
  // Binds and dies, as an agent that was killed.
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await command(process.execPath, ['-e', script]);
  assert.equal((await loopwarden(t, ['devices', '--socket', socket])).code, 69);
});

test('examples are command lines that are taken', async (t) => {
  for (const [, { examples = [] }] of eachCommand())
    for (const { words } of examples) {
      const [line = ''] = words.split(/ [>&|]/);
      const { code, stderr } = await loopwarden(t, [...line.split(' '), '--help']);
      assert.deepEqual([code, stderr], [0, ''], words);
    }
});

test('every command is there once', () => {
  const names = COMMANDS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
});
