/** Takes of a JSON value the parts that have the type they should: what somebody else may have written is never trusted. */

/**
 * `text`; `integer`: up to 2^53, not negative; `count`: the same, or digits as a string where it is larger; `texts`: a list of them.
 * Of an object only the names given are taken.
 */
export type Shape = 'text' | 'integer' | 'count' | 'texts' | ObjectShape;
export interface ObjectShape {
  readonly [name: string]: Shape;
}

export type Shaped<S> = S extends 'text'
  ? string
  : S extends 'integer'
    ? number
    : S extends 'count'
      ? number | string
      : S extends 'texts'
        ? string[]
        : { -readonly [Name in keyof S]?: Shaped<S[Name]> };

/** Up to it integers are numbers in a line (json-text.ts). */
const LARGEST = 2 ** 53;

/** Undefined for a text that is no JSON object. */
export function parseShaped<S extends ObjectShape>(text: string, shape: S): Shaped<S> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? (pick(value, shape) as Shaped<S>) : undefined;
  } catch {
    return undefined;
  }
}

function pick(value: Record<string, unknown>, shape: ObjectShape): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, wanted] of Object.entries(shape)) {
    const part = Object.hasOwn(value, name) ? value[name] : undefined;
    if (typeof wanted === 'object') {
      if (isObject(part)) kept[name] = pick(part, wanted);
    } else if (fits(part, wanted)) kept[name] = part;
  }
  return kept;
}

function fits(part: unknown, wanted: Exclude<Shape, object>): boolean {
  if (wanted === 'text') return typeof part === 'string';
  if (wanted === 'texts') return Array.isArray(part) && part.every((each) => typeof each === 'string');
  if (Number.isInteger(part)) return (part as number) >= 0 && (part as number) <= LARGEST;
  return wanted === 'count' && typeof part === 'string' && /^\d{1,20}$/.test(part);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
