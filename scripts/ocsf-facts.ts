/** What the tests need to know of the Open Cybersecurity Schema Framework: attributes of a few classes and objects, resolved. */
import type { Checkout } from './published-schemas.js';

interface Attribute {
  type?: string;
  is_array?: boolean;
  requirement?: string;
  profile?: string | null;
  enum?: Record<string, unknown>;
  '@deprecated'?: { since: string };
}
interface Item {
  name: string;
  uid?: number;
  category?: string;
  extends?: string;
  attributes: Record<string, Attribute> & { $include?: never };
  constraints?: { at_least_one?: string[] };
}

const LONGEST_PATTERN = 150;

/** Classes by the path of their file, objects by their name. */
export function ocsfFacts(
  checkout: Checkout,
  classes: readonly string[],
  objects: readonly string[],
): unknown {
  const dictionary = checkout.json('dictionary.json') as {
    attributes: Record<string, Attribute>;
    types: { attributes: Record<string, { regex?: string; max_len?: number }> };
  };
  const categories = (checkout.json('categories.json') as { attributes: Record<string, { uid: number }> })
    .attributes;
  const types = dictionary.types.attributes;

  function describe(name: string, attribute: Attribute): string {
    const known = dictionary.attributes[name];
    const values = Object.keys({ ...known?.enum, ...attribute.enum });
    const deprecated = attribute['@deprecated'] ?? known?.['@deprecated'];
    return [
      (attribute.type ?? known?.type) + (known?.is_array || attribute.is_array ? '[]' : ''),
      attribute.requirement ?? 'optional',
      attribute.profile ? `profile=${attribute.profile}` : '',
      values.length > 0 ? `values=${values.join(',')}` : '',
      deprecated ? `deprecated=${deprecated.since}` : '',
    ]
      .filter(Boolean)
      .join(' ');
  }

  function included(paths: readonly string[] = []): Record<string, Attribute> {
    const attributes: Record<string, Attribute> = {};
    for (const path of paths) {
      const profile = checkout.json(path) as Item;
      for (const [name, attribute] of Object.entries(profile.attributes))
        attributes[name] = { profile: profile.name, ...(attribute as Attribute) };
    }
    return attributes;
  }

  /** With what it inherits; the lower one outweighs. */
  function inherited(item: Item, above: (name: string) => Item): Item {
    const { $include, ...own } = item.attributes as Omit<Item['attributes'], '$include'> & {
      $include?: string[];
    };
    const parent =
      item.extends && item.extends !== 'object' ? inherited(above(item.extends), above) : undefined;
    const attributes: Record<string, Attribute> = { ...parent?.attributes };
    for (const [name, attribute] of Object.entries({ ...included($include), ...own })) {
      const before = attributes[name];
      attributes[name] = {
        ...before,
        ...attribute,
        ...(before?.enum && { enum: { ...before.enum, ...attribute.enum } }),
      };
    }
    return { ...parent, ...item, attributes };
  }

  function facts({ attributes, constraints }: Item): unknown {
    const entries = Object.entries(attributes).map(([name, attribute]) => [name, describe(name, attribute)]);
    return {
      ...(constraints?.at_least_one && { atLeastOne: constraints.at_least_one.join(' ') }),
      attributes: Object.fromEntries(entries.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))),
    };
  }

  const classAbove = (name: string): Item =>
    checkout.json(name === 'base_event' ? 'events/base_event.json' : `events/${name}/${name}.json`) as Item;
  const classFacts = classes.map((path) => {
    const item = inherited(checkout.json(path) as Item, classAbove);
    const category = categories[item.category ?? '']?.uid ?? 0;
    return [
      String(category * 1000 + (item.uid ?? 0)),
      { name: item.name, category, ...(facts(item) as object) },
    ];
  });
  const objectAbove = (name: string): Item => checkout.json(`objects/${name}.json`) as Item;
  const objectFacts = objects.map((name) => [name, facts(inherited(objectAbove(name), objectAbove))]);
  // But for those of addresses, which no line has.
  const patterns = Object.entries(types)
    .map(([name, { regex = '' }]) => [name, regex] as const)
    .filter(([, regex]) => regex.length < LONGEST_PATTERN);
  return {
    types: Object.fromEntries(patterns),
    classes: Object.fromEntries(classFacts),
    objects: Object.fromEntries(objectFacts),
  };
}
