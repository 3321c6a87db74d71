import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { devnoOf, devnoText, LOOP_MAJOR, loopName, parseDevno } from '../../src/devices/devno.js';

const major = fc.integer({ min: 0, max: 4095 });
const minor = fc.integer({ min: 0, max: 2 ** 20 - 1 });

test('a device number survives being written and read, at every size', () => {
  fc.assert(
    fc.property(major, minor, (given, number) => {
      const devno = devnoOf(given, number);
      assert.equal(devnoText(devno), `${given}:${number}`);
      assert.equal(parseDevno(devnoText(devno)), devno);
    }),
  );
  assert.equal(parseDevno('7:3\n'), devnoOf(7, 3));
});

test('what is no device number is none', () => {
  for (const text of ['', ':', '7:', ':3', '7', '7:3:1', '-7:3', '7:-3', '0x7:3', '7.0:3', 'loop3', '7: 3']) {
    assert.equal(parseDevno(text), undefined, text);
  }
  fc.assert(fc.property(fc.string(), (text) => void parseDevno(text)));
});

test('a loop disk is named after its minor, shifted where disks leave room for partitions', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 4095 }), (partShift, number) => {
      assert.equal(loopName(devnoOf(LOOP_MAJOR, number << partShift), partShift), `loop${number}`);
    }),
  );
  assert.equal(loopName(devnoOf(LOOP_MAJOR, 2 ** 20 - 1), 0), 'loop1048575');
});
