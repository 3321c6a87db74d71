import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRouter } from '../../src/web/router.js';

const route = createRouter([
  { method: 'GET', path: '/', handler: 'index' },
  { method: 'GET', path: '/devices', handler: 'devices' },
  { method: 'GET', path: '/devices/:name', handler: 'device' },
  { method: 'PUT', path: '/filter', handler: 'filter' },
]);

/** The handler, or the outcome where there is none. */
function outcomeOf(method: string, target: string): string {
  const match = route(method, target);
  return match.outcome === 'found' ? match.handler : match.outcome;
}

test('a path and a method find their handler, HEAD that of GET', () => {
  assert.equal(outcomeOf('GET', '/'), 'index');
  assert.equal(outcomeOf('HEAD', '/devices'), 'devices');
  assert.equal(outcomeOf('PUT', '/filter'), 'filter');
});

test('parameters are decoded, the query is apart', () => {
  const match = route('GET', '/devices/loop%203?follow=1?');
  assert.ok(match.outcome === 'found');
  assert.deepEqual({ ...match.params }, { name: 'loop 3' });
  assert.equal(match.query.get('follow'), '1?');
});

test('a wrong method says what is allowed', () => {
  assert.deepEqual(route('POST', '/devices'), { outcome: 'wrong_method', allow: 'GET, HEAD' });
  assert.deepEqual(route('GET', '/filter'), { outcome: 'wrong_method', allow: 'PUT' });
});

test('anything else is an unknown path', () => {
  for (const target of [
    '',
    '/devices/',
    '/devices/a/b',
    '/Devices',
    '//devices',
    '/devices/%',
    '/devices/%ff',
    '*',
  ]) {
    assert.equal(outcomeOf('GET', target), 'unknown_path', target);
  }
  fc.assert(fc.property(fc.string(), (target) => void route('GET', target)));
});
