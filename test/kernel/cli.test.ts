/** The commands against a real agent: what they say is what the kernel and losetup say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { host, openContainer } from '../support/shell.js';
import { eventually } from '../support/wait.js';

test('devices says of a device what losetup and sysfs say, and whose it is', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await host(`losetup -f --show -r -o 4096 --sizelimit 1048576 ${image}`);
  defer(t, () => host(`losetup -d ${device}`));
  const owned = await box.run(`losetup -f --show ${image}`);
  defer(t, () => box.run(`losetup -d ${owned}`));

  const columns =
    'NAME,MAJ:MIN,OFFSET,SIZELIMIT,RO,DIO,AUTOCLEAR,PARTSCAN,LOG-SEC,BACK-FILE,BACK-INO,SIZE,OWNER,DISKSEQ,HIDDEN';
  const list = async (...filter: string[]) =>
    (await agent.json('devices', '-o', columns, ...filter)) as Record<string, unknown>[];
  const name = device.slice('/dev/'.length);
  const [mine] = (await list('--owner', 'host')).filter((each) => each.name === name);
  const losetup = await host(
    `losetup -l --raw -n -O OFFSET,SIZELIMIT,RO,DIO,AUTOCLEAR,PARTSCAN,LOG-SEC,BACK-INO,MAJ:MIN ${device}`,
  );
  assert.deepEqual(
    [
      mine?.offset,
      mine?.sizelimit,
      mine?.ro,
      mine?.dio,
      mine?.autoclear,
      mine?.partscan,
      mine?.['log-sec'],
      mine?.['back-ino'],
      mine?.['maj:min'],
    ].map((value) => String(typeof value === 'boolean' ? Number(value) : value)),
    // It pads a number of two parts, and tells blanks by their codes.
    losetup.replaceAll('\\x20', '').split(/\s+/),
  );
  assert.deepEqual(
    [mine?.['back-file'], mine?.size, mine?.owner, mine?.hidden],
    [image, 1_048_576, 'host', false],
  );
  assert.equal(String(mine?.diskseq), await host(`cat /sys/block/${name}/diskseq`));

  const containers = await list('--owner', 'userns', '--state', 'bound');
  assert.ok(containers.some((each) => `/dev/${each.name}` === owned && each.hidden === true));
  assert.ok(!containers.some((each) => each.name === name));
  const inum = /\[(\d+)\]/.exec(await host(`readlink /proc/${box.pid}/ns/user`))?.[1] ?? '';
  assert.deepEqual(
    (await list('--owner', inum)).map((each) => `/dev/${each.name}`),
    [owned],
  );
  assert.equal((await agent.cli('devices', '--orphans', '-n')).stdout, '');
});

test('top counts what a user namespace does, and what of it the host did not hear', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  defer(t, () => box.run(`losetup -d ${device}`));
  await box.run(`! losetup ${device} ${image} 2>/dev/null`);
  const inum = Number(/\[(\d+)\]/.exec(await host(`readlink /proc/${box.pid}/ns/user`))?.[1]);
  const user = await eventually('top has all of it', async () => {
    const users = (await agent.json('top')) as {
      userns: { inum: number } | null;
      bound: number;
      total: Record<string, number>;
    }[];
    const found = users.find(({ userns }) => userns?.inum === inum);
    return (
      found !== undefined && (found.total.hiddenUevents ?? 0) > 0 && (found.total.failures ?? 0) > 0 && found
    );
  });
  assert.equal(user.bound, 1);
  assert.ok((user.total.ioctls ?? 0) > (user.total.failures ?? 0));
  assert.match((await agent.cli('top')).stdout, new RegExp(`^userns ${inum} +${inum} +1 +1 `, 'm'));
});

test('events and explain tell a device’s life, with an agent from its memory, and without one from the log', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  await box.run(`! losetup ${device} ${image} 2>/dev/null`);
  await box.run(`losetup -d ${device}`);
  await agent.settle();

  const name = device.slice('/dev/'.length);
  const commands = async (...words: string[]): Promise<string[]> => {
    const { code, stdout, stderr } = await agent.cli('events', '--json', '--device', name, ...words);
    assert.equal(code, 0, stderr);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).command);
  };
  assert.ok((await commands()).includes('LOOP_CONFIGURE'));
  assert.deepEqual(await commands('--log'), await commands('-n', 'all'));
  assert.ok((await commands('--failed', '--since', '10m')).length >= 1);
  assert.deepEqual(await commands('--until', '@0'), []);
  assert.ok((await commands('--owner', 'userns')).includes('change'));

  const told = (await agent.cli('explain', device)).stdout;
  assert.match(told, new RegExp(`attached ${image}.*: life \\d+ begins, owned by user namespace \\d+$`, 'm'));
  assert.match(told, /gets none of its events \(rule holder: /);
  assert.match(told, /uevent “change” was hidden from the host \(rule (holder|pending): /);
  assert.match(told, /and got E[A-Z]+/);
  assert.match(told, /: (life \d+ ends|its life ends with the last close)$/m);

  assert.equal(await agent.stop(), 0);
  const log = await agent.cli('explain', device);
  assert.equal(log.code, 0, log.stderr);
  assert.match(log.stdout, /^story\n/);
  assert.ok(log.stdout.includes(image));
  assert.ok((await commands()).includes('LOOP_CONFIGURE'));
  assert.equal((await agent.cli('devices')).code, 69);
});

test('doctor --fix mounts the BPF file system where it is not, and only there', async (t) => {
  const agent = await startAgent(t);
  const main = `${process.execPath} dist/main.js doctor --json`;
  const env = `LOOPWARDEN_API_SOCKET=${agent.env.LOOPWARDEN_API_SOCKET}.none LOOPWARDEN_AUDIT_PATH=${agent.auditPath}`;
  const script = `
    while umount /sys/fs/bpf 2>/dev/null; do :; done
    ${env} ${main} || true
    ${env} ${main} --fix
    stat -f -c %T /sys/fs/bpf
    ${env} ${main} --fix`;
  const lines = (await host(`unshare -m --propagation private sh -ec '${script}'`)).split('\n');
  const [found, mended, again] = [lines[0], lines[1], lines[3]].map((line) => JSON.parse(line ?? '').mends);
  const mounts = (mends: { remedy: string; mended: boolean | null }[]) =>
    mends.filter(({ remedy }) => remedy.startsWith('mount')).map((mend) => mend.mended);
  assert.deepEqual([mounts(found), mounts(mended), mounts(again)], [[null], [true], []]);
  assert.equal(lines[2], 'bpf_fs');
  // The agent's own is as it was.
  assert.equal((await agent.json('doctor')).agent.pid, agent.pid);
});
