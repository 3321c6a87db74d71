/** A container for a person: as a word of a table, and as a sentence. */
import type { Container } from '../identity/container.js';

/** One that was chosen longer leaves room for the other columns. */
const MAX_LENGTH = 40;
const SHORT_ID = 12;

/** `docker/web`, or with what Docker shows of an id: `docker/4f797c539e6c`. */
export function containerWord({
  runtime,
  id,
  name,
}: Pick<Container, 'id' | 'name'> & { runtime: string }): string {
  const word = `${runtime}/${name ?? shortId(id)}`;
  return word.length > MAX_LENGTH ? `${word.slice(0, MAX_LENGTH - 1)}…` : word;
}

export function containerSentence(container: Container): string {
  const { runtime, id, name, pod, unit, nested, source, confidence } = container;
  const inside = nested && `inside it, by its own account, ${containerWord(nested)}`;
  return [
    name !== undefined && name !== id ? `${runtime} ${name} (id ${id})` : `${runtime} ${id}`,
    ...(pod !== undefined ? [`pod ${pod}`] : []),
    ...(unit !== undefined && unit !== id ? [`unit ${unit}`] : []),
    ...(inside !== undefined ? [inside] : []),
    `told by: ${source}, ${confidence} confidence`,
  ].join('; ');
}

function shortId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, SHORT_ID) : id;
}
