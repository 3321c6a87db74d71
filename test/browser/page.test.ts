import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { startPublicServer } from '../../src/web/public-server.js';
import { deviceView, ioctlEntry, pageFixture, TENANTS, tellStory } from '../page-fixture.js';
import { openPage, servePage, startBrowser } from '../support/browser.js';
import { defer } from '../support/defer.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WEB = TENANTS[0] as (typeof TENANTS)[number];

let browser: Browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

const rowsOf = (page: Page, pane = 'devices') =>
  page
    .locator(`#${pane} tbody tr:not(.spacer)`)
    .evaluateAll((rows) => rows.map((row) => row.textContent ?? ''));

const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? '';

async function violations(page: Page): Promise<string[]> {
  // By the debugger, which the page's own policy does not bind.
  await page.evaluate(AXE);
  return page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target.join(' ')).join(', ')))`);
}

test('shows who owns what, sorted and filtered as one asks', async (t) => {
  const fixture = pageFixture();
  tellStory(fixture);
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  await page.waitForSelector('#devices tbody tr:nth-child(9)');
  assert.match((await rowsOf(page))[0] ?? '', /^loop0host.*core18_2000\.snap.*delivered$/);
  await page.getByRole('button', { name: 'Device', exact: true }).click();
  assert.equal(await page.locator('#devices th').first().getAttribute('aria-sort'), 'descending');
  assert.match((await rowsOf(page))[0] ?? '', /^loop71/);
  await page.getByRole('button', { name: 'Orphans' }).click();
  assert.deepEqual(
    (await rowsOf(page)).map((text) => /^loop\d+/.exec(text)?.[0]),
    ['loop37', 'loop10'],
  );
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByLabel('Filter devices').fill('shop-web');
  const web = await rowsOf(page);
  assert.ok(
    web.length > 3 && web.every((text) => text.includes('docker/shop-web') && text.endsWith('hidden')),
  );
  await page.getByLabel('Filter devices').fill('<nothing>');
  assert.match(await textOf(page, '#devices .empty'), /No device has “<nothing>” in it/);
  assert.match(await textOf(page, '#figures'), /Devices in use64of 72.*Orphans2/);
});

test('a device’s life is a time line, reached and left by the keyboard', async (t) => {
  const fixture = pageFixture();
  tellStory(fixture);
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  await page.waitForSelector('#devices tbody tr:nth-child(9)');
  await page.locator('#devices .scroller').focus();
  await page.keyboard.press('ArrowDown');
  for (let at = 0; at < 13; at++) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#device:not([hidden]) .life li time');
  assert.equal(new URL(page.url()).hash, '#/loop13');
  const life = await textOf(page, '#device');
  assert.match(
    life,
    /In use by podman\/image-build\. Hidden from the host’s udev: a user namespace attached/,
  );
  assert.match(life, /attached \/srv\/out\/disk-13\.img/);
  assert.match(life, /detached: refused, EBUSY/);
  assert.match((await page.locator('#device .lane').getAttribute('aria-label')) ?? '', /^2 lives in /);
  await page.keyboard.press('Escape');
  await page.waitForSelector('#device', { state: 'hidden' });
  assert.match(await page.evaluate('document.activeElement.textContent'), /^loop13/);
});

test('what happens is there a moment later, in the events, the table and the device’s life', async (t) => {
  const fixture = pageFixture();
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  assert.match(await textOf(page, '#devices .empty'), /No loop device exists/);
  assert.match(await textOf(page, '#events .empty'), /Nothing has happened yet/);
  fixture.devices.push(deviceView(7, WEB));
  fixture.record(ioctlEntry('LOOP_CONFIGURE', 7, WEB));
  fixture.record(ioctlEntry('LOOP_CLR_FD', 7, WEB, { result: -16 }));
  await page.getByText('docker/shop-web4026532177').waitFor();
  await page.locator('#events tr.failed', { hasText: 'EBUSY' }).waitFor();
  await page.getByRole('button', { name: 'Failed only' }).click();
  assert.equal((await rowsOf(page, 'events')).length, 1);
  await page.locator('#events tr.failed').click();
  await page.locator('#device li', { hasText: 'attached /srv/data/disk-7.img' }).waitFor();
  fixture.devices.length = 0;
  fixture.record(ioctlEntry('LOOP_CTL_REMOVE', 7, WEB));
  await page.getByText('loop7 does not exist now.').waitFor();
});

test('10,000 devices are a few dozen rows, and scrolling through them stays smooth', async (t) => {
  const fixture = pageFixture();
  for (let number = 0; number < 10_000; number++)
    fixture.devices.push(deviceView(number, TENANTS[number % TENANTS.length]));
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  await page.waitForSelector('#devices tbody tr:nth-child(9)');
  assert.equal(await page.locator('#devices table').getAttribute('aria-rowcount'), '10001');
  const steps = 60;
  // Time of the page's own thread: a machine that does other things as well takes longer, but not more of it.
  const debug = await page.context().newCDPSession(page);
  await debug.send('Performance.enable', { timeDomain: 'threadTicks' });
  const spentMs = async (): Promise<number> => {
    const { metrics } = await debug.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN) * 1000;
  };
  const before = await spentMs();
  await page.evaluate(`(async () => {
    const box = document.querySelector('#devices .scroller');
    for (let at = 0; at < ${steps}; at++) {
      // Eight rows: a quick turn of the wheel.
      box.scrollTop += 240;
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    }
  })()`);
  const step = ((await spentMs()) - before) / steps;
  assert.ok(step > 0 && step < 16, `a step of scrolling takes ${step} ms: a frame has 16`);
  assert.ok((await page.locator('#devices tbody tr').count()) < 80);
  await page.locator('#devices .scroller').focus();
  await page.keyboard.press('End');
  await page.locator('#devices tr[aria-rowindex="10001"]:focus', { hasText: 'loop9999' }).waitFor();
});

test('the connection comes back by itself, and what was missed is there; another agent is a gap', async (t) => {
  const fixture = pageFixture();
  const server = await servePage(t, fixture);
  const { url } = server;
  const page = await openPage(t, browser, url, { quiet: false });
  fixture.record(ioctlEntry('LOOP_CTL_ADD', 3, WEB));
  await page.locator('#events td', { hasText: 'LOOP_CTL_ADD' }).waitFor();
  await server.close();
  await page.waitForSelector('.connection[data-state="lost"]');
  await page.locator('.notice', { hasText: 'No answer from the agent since' }).waitFor();
  const next = pageFixture({ startedAt: new Date(0).toISOString() });
  next.record(ioctlEntry('LOOP_CTL_REMOVE', 3, WEB));
  const again = await startPublicServer({
    address: '127.0.0.1',
    port: Number(new URL(url).port),
    page: next.page,
    health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
    metrics: { contentType: 'text/plain', renderMetrics: async () => '' },
  });
  defer(t, async () => {
    next.page.close();
    await again.close();
  });
  await page.waitForSelector('.connection[data-state="live"]');
  await page.locator('#events tr.gap', { hasText: 'the agent was started anew' }).waitFor();
  await page.locator('#events td', { hasText: 'LOOP_CTL_REMOVE' }).waitFor();
  assert.equal(
    await page.locator('#events td', { hasText: 'LOOP_CTL_ADD' }).count(),
    1,
    'what it had is still there',
  );
  await page.waitForSelector('.notice', { state: 'detached' });
});

test('a storm is a gap with its size, and the page goes on', async (t) => {
  const fixture = pageFixture();
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  for (let at = 0; at < 5000; at++) fixture.record(ioctlEntry('LOOP_GET_STATUS64', 3, WEB));
  await page
    .locator('#events tr.gap', { hasText: /[\d,]+ events came faster than a page can show/ })
    .waitFor();
  fixture.record(ioctlEntry('LOOP_CTL_REMOVE', 3, WEB));
  await page.locator('#events td', { hasText: 'LOOP_CTL_REMOVE' }).waitFor();
});

test('no violations for axe, light and dark, wide and on a phone, with and without a device', async (t) => {
  const fixture = pageFixture();
  tellStory(fixture);
  fixture.unready.push('hook uevent_delivery is not attached');
  const { url } = await servePage(t, fixture);
  for (const [colorScheme, width, path] of [
    ['light', 1600, '/'],
    ['dark', 1600, '/#/loop13'],
    ['light', 390, '/#/loop13'],
    ['dark', 390, '/'],
  ] as const) {
    const page = await openPage(t, browser, url, { path, colorScheme, viewport: { width, height: 844 } });
    await page.waitForSelector('#delivery-chart canvas');
    await page.locator('.notice', { hasText: 'Not as configured: hook' }).waitFor();
    assert.deepEqual(await violations(page), [], `${colorScheme} ${width} ${path}`);
    const overflow = await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    assert.equal(overflow, 0, `nothing to scroll sideways at ${width}`);
    await page.context().close();
  }
});

test('the theme is the system’s until one chooses, and then stays', async (t) => {
  const fixture = pageFixture();
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url, { colorScheme: 'dark' });
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor') as Promise<string>;
  const dark = await ground();
  await page.getByRole('button', { name: 'Theme: auto' }).click();
  assert.notEqual(await ground(), dark);
  await page.reload();
  await page.getByRole('button', { name: 'Theme: light' }).waitFor();
  assert.notEqual(await ground(), dark);
});

const HOSTILE: [name: string, text: string][] = [
  ['markup', '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;'],
  ['direction', 'a\u202egnp.exe\u2066\u200f'],
  ['terminal escapes', '\u001b[31mred\u0007\r\n'],
  ['4 KB', 'x'.repeat(4096)],
  ['invalid UTF-8', Buffer.from([0xff, 0xfe, 0x41, 0xc3]).toString()],
  ['half a pair', 'half \ud83d'],
];

test('whatever a container calls itself is text, wherever it is shown', async (t) => {
  const fixture = pageFixture();
  for (const [number, [, text]] of HOSTILE.entries()) {
    const container = { ...WEB.container, name: text, id: text };
    fixture.devices.push(
      deviceView(number, WEB, {
        container,
        backing: {
          path: `/srv/${text}`,
          offset: 0,
          sizelimit: 0,
          autoclear: false,
          partscan: false,
          directIo: false,
          file: null,
        },
        attachedBy: { pid: 1, comm: text, uid: 0 },
        partitions: [text],
      }),
    );
    fixture.record(
      ioctlEntry('LOOP_CONFIGURE', number, { ...WEB, container }, { comm: text, path: `/srv/${text}` }),
    );
  }
  fixture.publish('{"kind":"ioctl","command":"__proto__","device":{"name":"<b>x</b>"},"result":7}');
  fixture.publish('not json at all');
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  await page.waitForSelector('#devices tbody tr:nth-child(7)');
  await page.locator('#events td', { hasText: '<b>x</b>' }).waitFor();
  for (const [number] of HOSTILE.entries()) {
    await page.evaluate(`location.hash = '#/loop${number}'`);
    await page.locator('#device h2', { hasText: `loop${number}` }).waitFor();
    await page.locator('#device .life li time').first().waitFor();
  }
  const found = (await page.evaluate(`({
    made: document.querySelectorAll('main img, main script, main b:not(.readout b)').length,
    text: document.body.textContent + [...document.querySelectorAll('[title]')].map((each) => each.title).join(),
    title: document.title,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  })`)) as { made: number; text: string; title: string; wide: number };
  assert.equal(found.made, 0);
  assert.match(found.title, / – loopwarden$/);
  assert.equal(found.wide, 0);
  assert.doesNotMatch(found.text, /[^\n\P{Cc}]|\p{Cf}/u);
  assert.ok(found.text.includes('<img src=x onerror='), 'markup is shown as it is');
  assert.ok(found.text.includes('a\\u{202e}gnp.exe'), 'what turns text round is shown as its number');
});

test('where nobody of loopfs answers, and nothing was delivered, the page says what that means', async (t) => {
  const fixture = pageFixture();
  fixture.loopfs = undefined;
  fixture.mode = 'off';
  const { url } = await servePage(t, fixture);
  const page = await openPage(t, browser, url);
  await page.getByText('No process of loopfs answers').waitFor();
  await page.getByText('No uevent of a loop device has come to a listener yet.').waitFor();
  await page.getByText('filter off').waitFor();
});
