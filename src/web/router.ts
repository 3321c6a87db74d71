/** A route table: method and path to handler. `:name` in a pattern matches one segment. */

export interface Route<Handler> {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** `/api/v1/devices/:name` */
  path: string;
  handler: Handler;
}

export type RouteMatch<Handler> =
  | { outcome: 'found'; handler: Handler; params: Readonly<Record<string, string>>; query: URLSearchParams }
  | { outcome: 'unknown_path' }
  | { outcome: 'wrong_method'; allow: string };

export type Router<Handler> = (method: string, target: string) => RouteMatch<Handler>;

/** Answers HEAD wherever GET is. A target that is no valid path is an unknown path. */
export function createRouter<Handler>(routes: readonly Route<Handler>[]): Router<Handler> {
  const table = routes.map((route) => ({ ...route, segments: route.path.split('/') }));
  return (method, target) => {
    const [path = '', search = ''] = splitOnce(target, '?');
    const segments = path.split('/');
    const wanted = method === 'HEAD' ? 'GET' : method;
    const allowed: string[] = [];
    for (const route of table) {
      const params = matchSegments(route.segments, segments);
      if (params === undefined) continue;
      if (route.method === wanted) {
        return { outcome: 'found', handler: route.handler, params, query: new URLSearchParams(search) };
      }
      allowed.push(...(route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]));
    }
    return allowed.length === 0
      ? { outcome: 'unknown_path' }
      : { outcome: 'wrong_method', allow: allowed.join(', ') };
  };
}

function matchSegments(pattern: string[], segments: string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== segment) return undefined;
      continue;
    }
    const value = decode(segment);
    if (value === undefined || value === '') return undefined;
    params[part.slice(1)] = value;
  }
  return params;
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
