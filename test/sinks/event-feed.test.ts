import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createEventFeed } from '../../src/sinks/event-feed.js';

test('keeps the newest lines, oldest first, however many came', () => {
  fc.assert(
    fc.property(fc.nat({ max: 20 }), fc.nat({ max: 60 }), fc.nat({ max: 70 }), (capacity, count, limit) => {
      const feed = createEventFeed(capacity);
      const lines = Array.from({ length: count }, (_, index) => `line ${index}`);
      for (const line of lines) feed.publish(line);
      const kept = lines.slice(Math.max(0, count - capacity));
      assert.deepEqual(feed.recent(limit), kept.slice(Math.max(0, kept.length - limit)));
    }),
    { numRuns: 500 },
  );
});

test('a follower gets each line from its subscription to its end, once and in order', () => {
  const feed = createEventFeed(1);
  const heard: string[] = [];
  feed.publish('before');
  const end = feed.subscribe((line) => heard.push(line));
  feed.publish('a');
  feed.publish('b');
  end();
  end();
  feed.publish('after');
  assert.deepEqual(heard, ['a', 'b']);
});

test('followers are independent: one that ends while a line is given out takes no other with it', () => {
  const feed = createEventFeed(0);
  const heard: string[] = [];
  const ends = [feed.subscribe(() => ends[0]?.()), feed.subscribe((line) => heard.push(`second ${line}`))];
  feed.publish('1');
  feed.publish('2');
  assert.deepEqual(heard, ['second 1', 'second 2']);
});

test('lines are wanted while they are kept or somebody follows', () => {
  assert.equal(createEventFeed(1).wanted(), true);
  const feed = createEventFeed(0);
  assert.equal(feed.wanted(), false);
  const end = feed.subscribe(() => {});
  assert.equal(feed.wanted(), true);
  end();
  assert.equal(feed.wanted(), false);
});

test('what was read stays as it was', () => {
  const feed = createEventFeed(2);
  feed.publish('a');
  const before = feed.recent(10);
  feed.publish('b');
  feed.publish('c');
  assert.deepEqual(before, ['a']);
});
