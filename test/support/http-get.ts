import { request } from 'node:http';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** One request, to a URL or over a Unix socket, with its whole answer. */
export function ask(
  target: string | { socketPath: string; path: string },
  method = 'GET',
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const [url, options] = typeof target === 'string' ? [new URL(target), {}] : [undefined, target];
    const call = url ? request(url, { method, agent: false }) : request({ ...options, method, agent: false });
    call.once('error', reject);
    call.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    call.end(body);
  });
}
