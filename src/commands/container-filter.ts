/** `--container`: by what a person knows of a container. */

interface Known {
  runtime?: string;
  id?: string;
  name?: string | undefined;
  pod?: string | undefined;
}

/** Fewer characters of an id would be anybody's. */
const LEAST_ID = 6;

/** `web`, `docker/web`, the id or its beginning, a pod's uid, and `docker/` for all of a runtime. */
export function isContainerOf(wanted: string, { runtime = '', id = '', name, pod }: Known): boolean {
  if (wanted === `${runtime}/`) return true;
  const word = wanted.startsWith(`${runtime}/`) ? wanted.slice(runtime.length + 1) : wanted;
  if (word === name || word === id || word === pod) return word !== '';
  return word.length >= LEAST_ID && id.startsWith(word);
}
