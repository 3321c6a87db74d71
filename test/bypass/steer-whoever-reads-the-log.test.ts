/** The attacker names its process and its file so that a line of the log breaks, a terminal obeys, or a reader sees another name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { attack, startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { ask as httpGet } from '../support/http-get.js';
import { host } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;

/**
 * A name of 15 bytes and a path of more than 4 KiB, each with controls, what ends a string or a line, a terminal's
 * escapes, a direction that turns, and bytes that are no UTF-8. The path is made component by component: the kernel takes no
 * such text in one.
 */
const SCRIPT = `
HOSTILE = b'\\x1b]0;x\\x07\\x1b[2J\\n"}\\\\\\r\\t\\xe2\\x80\\xae\\xff\\xc3\\x28{"seq":1}'
libc.prctl(15, b'\\x1b[2J\\n"}\\\\,\\xff\\xe2\\x80\\xae')
enter_new_userns()
folder = os.open(sys.argv[1], os.O_RDONLY)
for number in range(18):
    name = HOSTILE + b'%03d' % number + b'x' * 200
    os.mkdir(name, dir_fd=folder)
    folder = os.open(name, os.O_RDONLY, dir_fd=folder)
file = os.open(HOSTILE + b'.img', os.O_RDWR | os.O_CREAT, dir_fd=folder)
os.ftruncate(file, 1 << 20)
device = add_device(${NUMBER})
say(configure(device, file, name=HOSTILE))
wait_for_test()
`;

/** C0 but line feeds, DEL and C1, controls of direction, and what stands for bytes that are no text must have been meant. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const STEERS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

test('a hostile name is text in the log, on the terminal, in the metrics and on the page', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const folder = tempFolder(t);
  // Node can neither spell these names nor go so deep.
  defer(t, () =>
    host(attack('import shutil\nfor each in os.scandir(sys.argv[1]): shutil.rmtree(each.path)', folder)),
  );
  const attacker = startAttacker(t, SCRIPT, folder);
  assert.equal(await attacker.says(), 0);
  const lines = await stage.ioctls(device);
  const configure = lines.find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.ok(configure.caller.comm.startsWith('\u001b[2J\n"}\\,'), 'the name is told as it is');
  assert.ok(configure.backing.path.includes('{"seq":1}') && configure.backing.path.endsWith('.img'));
  assert.ok(configure.backing.path.length > 500, 'and the end of a path that is too long');

  const raw = readFileSync(stage.agent.auditPath);
  assert.ok(
    !STEERS.test(raw.toString('latin1').replace(/[\u0080-\uffff]/g, '')),
    'the log has no control character',
  );
  assert.deepEqual(Buffer.from(raw.toString('utf8')), raw, 'the log is UTF-8');
  for (const line of raw.toString('utf8').trimEnd().split('\n'))
    assert.ok(Buffer.byteLength(line) <= 8192 && JSON.parse(line));
  const numbers = stage.agent.audit().map(({ seq }) => seq);
  assert.equal(new Set(numbers).size, numbers.length, 'no line is another one’s');

  for (const words of [
    ['devices'],
    ['devices', '--raw'],
    ['explain', device],
    ['events'],
    ['top'],
    ['events', '--log'],
  ]) {
    const { code, stdout, stderr } = await stage.agent.cli(...words);
    assert.equal(code, 0, stderr);
    const steering = stdout.split('\n').filter((line) => STEERS.test(line));
    assert.deepEqual(steering, [], words.join(' '));
  }
  const metrics = (await httpGet(`${stage.agent.url}/metrics`)).body;
  assert.ok(!STEERS.test(metrics) && metrics.includes(`device="loop${NUMBER}"`));
  for (const line of metrics.split('\n').filter((each) => each !== '' && !each.startsWith('#')))
    assert.match(line, /^[a-z_]+(\{([a-z_]+="([^"\\]|\\[\\"n])*",?)*\})? \S+$/);
  const page = await httpGet(`${stage.agent.url}/api/v1/devices/loop${NUMBER}`);
  assert.equal(page.status, 200);
  assert.match(String(page.headers['content-type']), /^application\/json/);
  assert.ok(!STEERS.test(page.body.replaceAll('\n', '')) || JSON.parse(page.body), 'it is JSON for a script');
  const { state, backing, attachedBy } = JSON.parse(page.body);
  assert.deepEqual(
    [state, backing?.path],
    ['bound', configure.backing.path],
    'though sysfs does not tell such a path',
  );
  assert.equal(attachedBy.comm, configure.caller.comm);
  assert.deepEqual(await stage.hostHears(), []);
});
