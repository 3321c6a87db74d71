/** Judges a record by the published schemas, as far as test/sinks/schemas has them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

// biome-ignore lint/suspicious/noExplicitAny: what is judged is read as it comes
type Json = any;
type Facts = Record<string, string>;

function read(name: string): Json {
  return JSON.parse(readFileSync(new URL(`../sinks/schemas/${name}.json`, import.meta.url), 'utf8'));
}

const OCSF = read('ocsf') as {
  tag: string;
  types: Facts;
  classes: Record<string, { category: number; attributes: Facts }>;
  objects: Record<string, { atLeastOne?: string; attributes: Facts }>;
};
const ECS = read('ecs') as { tag: string; fields: Facts; eventTypes: Facts };
const CONVENTIONS = read('semantic-conventions') as { tag: string; attributes: Facts };
const PROTO = read('opentelemetry-proto') as { messages: Record<string, Facts> };

const LARGEST = 2 ** 53;

/** @throws naming the attribute that is not as the schema has it */
export function assertOcsf(event: Json): void {
  const { class_uid, category_uid, activity_id, type_uid, metadata } = event;
  const facts = OCSF.classes[String(class_uid)];
  assert.ok(facts, `class ${class_uid}`);
  assert.equal(category_uid, facts.category);
  assert.equal(type_uid, class_uid * 100 + activity_id);
  assert.equal(metadata.version, OCSF.tag);
  if (activity_id === 99) assert.equal(typeof event.activity_name, 'string');
  // Their values are computed from the class.
  const computed = {
    ...facts.attributes,
    category_uid: 'integer_t required',
    class_uid: 'integer_t required',
  };
  assertAttributes(event, computed, metadata.profiles, '');
}

function assertAttributes(value: Json, facts: Facts, profiles: string[], path: string): void {
  for (const [name, part] of Object.entries(value)) {
    const [type = '', ...words] = facts[name]?.split(' ') ?? assert.fail(`there is no ${path}${name}`);
    const { profile, values, deprecated } = Object.fromEntries(words.map((word) => word.split('=')));
    assert.equal(deprecated, undefined, `${path}${name} is deprecated`);
    if (profile !== undefined)
      assert.ok(profiles.includes(profile), `${path}${name} needs the profile ${profile}`);
    if (values !== undefined)
      assert.ok(values.split(',').includes(String(part)), `${path}${name} is ${part}`);
    assertType(part, type, profiles, `${path}${name}`);
  }
  for (const [name, fact] of Object.entries(facts)) {
    if (!fact.includes(' required')) continue;
    const profile = /profile=(\w+)/.exec(fact)?.[1];
    if (profile === undefined || profiles.includes(profile))
      assert.ok(name in value, `${path}${name} is required`);
  }
}

function assertType(part: Json, type: string, profiles: string[], path: string): void {
  if (type.endsWith('[]')) {
    assert.ok(Array.isArray(part), path);
    for (const each of part) assertType(each, type.slice(0, -2), profiles, path);
  } else if (type === 'object')
    assert.ok(typeof part === 'object' && part !== null && !Array.isArray(part), path);
  else if (/^(?:integer|long|timestamp)_t$/.test(type)) assertInteger(part, path);
  else if (type.endsWith('_t')) {
    assert.equal(typeof part, 'string', path);
    assert.ok(type in OCSF.types, type);
    assert.match(part, new RegExp(OCSF.types[type] ?? ''), path);
  } else {
    const { attributes, atLeastOne } = OCSF.objects[type] ?? assert.fail(`${path} is a ${type}`);
    assertAttributes(part, attributes, profiles, `${path}.`);
    if (atLeastOne)
      assert.ok(
        atLeastOne.split(' ').some((name) => name in part),
        `${path} has none of ${atLeastOne}`,
      );
  }
}

function assertInteger(part: Json, path: string): void {
  assert.ok(Number.isInteger(part) && part <= LARGEST, `${path} is ${part}`);
}

/** What is below `loopwarden` is ours. @throws naming the field */
export function assertEcs(event: Json): void {
  const { loopwarden, ...rest } = event;
  assert.equal(typeof loopwarden, 'object');
  assert.equal(`v${event.ecs.version}`, ECS.tag);
  assert.ok('@timestamp' in event);
  for (const [name, value] of leavesOf(rest)) {
    const [type = '', word] = ECS.fields[name]?.split(' ') ?? assert.fail(`there is no ${name}`);
    assert.equal(Array.isArray(value), type.endsWith('[]'), name);
    for (const each of [value].flat()) {
      assertEcsType(each, type.replace('[]', ''), name);
      if (word) assert.ok(word.replace('values=', '').split(',').includes(each), `${name} is ${each}`);
    }
  }
  for (const category of event.event.category) {
    const expected = ECS.eventTypes[category]?.split(' ') ?? [];
    for (const type of event.event.type) assert.ok(expected.includes(type), `${type} in ${category}`);
  }
}

function assertEcsType(value: Json, type: string, name: string): void {
  if (type === 'long') assertInteger(value, name);
  else if (type === 'date') assert.match(value, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z$/, name);
  else {
    assert.ok(['keyword', 'match_only_text', 'wildcard'].includes(type), `${name} is ${type}`);
    assert.equal(typeof value, 'string', name);
  }
}

/** What begins with `loopwarden.` is ours. @throws naming the attribute */
export function assertOtel(line: Json): void {
  assertMessage(line, 'LogsData');
  for (const { resource, scopeLogs, schemaUrl } of line.resourceLogs) {
    assert.ok(schemaUrl.endsWith(CONVENTIONS.tag.slice(1)));
    assertKeyValues(resource.attributes);
    for (const { logRecords } of scopeLogs)
      for (const { attributes } of logRecords) assertKeyValues(attributes);
  }
}

function assertMessage(value: Json, message: string): void {
  const fields = PROTO.messages[message] ?? {};
  for (const [name, part] of Object.entries(value)) {
    const type = fields[name] ?? assert.fail(`a ${message} has no ${name}`);
    assert.equal(Array.isArray(part), type.endsWith('[]'), name);
    const one = type.replace('[]', '');
    if (one in PROTO.messages) for (const each of part as Json[]) assertMessage(each, one);
    else if (one === 'fixed64') assert.match(String(part), /^\d{1,20}$/);
    else if (one === 'string') assert.equal(typeof part, 'string');
    else if (one === 'AnyValue') assert.deepEqual(Object.keys(part as object), ['stringValue']);
  }
}

const VALUE_KINDS: Facts = { string: 'stringValue', int: 'intValue', 'string[]': 'arrayValue' };

function assertKeyValues(attributes: Json[]): void {
  assert.equal(new Set(attributes.map(({ key }) => key)).size, attributes.length, 'no key is there twice');
  for (const { key, value } of attributes) {
    const [kind = ''] = Object.keys(value);
    if (kind === 'intValue') assert.match(value.intValue, /^\d{1,20}$/);
    if (key.startsWith('loopwarden.')) continue;
    const type = CONVENTIONS.attributes[key] ?? assert.fail(`there is no ${key}`);
    assert.equal(kind, VALUE_KINDS[type], key);
  }
}

/** A list is a leaf. */
export function leavesOf(value: Json, above = ''): [string, Json][] {
  return Object.entries(value as Record<string, Json>).flatMap(([name, part]): [string, Json][] => {
    const path = above === '' ? name : `${above}.${name}`;
    return typeof part === 'object' && !Array.isArray(part) ? leavesOf(part, path) : [[path, part]];
  });
}
