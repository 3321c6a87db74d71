/** Talks to the agent over its Unix socket; what the commands use. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { createError, isErrorCode, LoopwardenError, reasonOf } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import type { Route } from './router.js';

export interface ControlClient {
  /** The agent's answer. @throws ERR_AGENT_NOT_RUNNING, ERR_NOT_ROOT, or what the agent threw. */
  request(method: Route<unknown>['method'], path: string, body?: unknown): Promise<unknown>;
  /** The lines of an NDJSON answer as they come; leaving the loop ends the request, and so does `stop`. Throws as `request`. */
  stream(path: string, stop?: AbortSignal): AsyncGenerator<string, void, undefined>;
}

/** The agent answers from memory; longer means that it hangs. */
const TIMEOUT_MS = 10_000;

type Absent = 'ERR_AGENT_NOT_RUNNING' | 'ERR_LOOPFS_NOT_RUNNING';

/** How many requests of a client that keeps its connections are under way at once; the others wait. */
const CONNECTIONS = 8;
/** Less than the agent keeps them (http-limits.ts), so that none is used at the moment when it is closed. */
const IDLE_MS = 2000;

/**
 * `absent`: the error when nobody answers; `timeoutMs`: the most that a request takes. `keep`: connections for the next
 * request, for a client that asks often.
 */
export function createControlClient(
  socketPath: string,
  absent: Absent = 'ERR_AGENT_NOT_RUNNING',
  { keep = false, timeoutMs = TIMEOUT_MS } = {},
): ControlClient {
  // Without it: a connection that is kept would keep a command alive after its only request.
  const kept = keep && new Agent({ keepAlive: true, maxSockets: CONNECTIONS, timeout: IDLE_MS });
  return {
    async request(method, path, body) {
      try {
        return await request(method, path, body);
      } catch (error) {
        // Nobody has read it: the agent had gone, and the next connection is to the next one.
        if (kept && isBroken(error as Error)) return request(method, path, body);
        throw error;
      }
    },
    async *stream(path, stop) {
      if (stop?.aborted) return;
      const call = startCall(socketPath, false, 'GET', path);
      // While the loop waits for a line, nothing else could end it.
      const end = () => call.destroy();
      stop?.addEventListener('abort', end, { once: true });
      try {
        const response = await responseTo(call, socketPath, absent);
        if (response.statusCode !== 200) parseAnswer(await readText(response), response);
        yield* linesOf(response);
      } catch (error) {
        if (!stop?.aborted) throw error;
      } finally {
        stop?.removeEventListener('abort', end);
        call.destroy();
      }
    },
  };

  async function request(method: string, path: string, body?: unknown): Promise<unknown> {
    const call = startCall(socketPath, kept, method, path, body);
    const late = new Error(`no answer within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => call.destroy(late), timeoutMs);
    try {
      const response = await responseTo(call, socketPath, absent);
      return parseAnswer(await readText(response), response);
    } finally {
      clearTimeout(timer);
    }
  }
}

function isBroken({ cause }: Error): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
}

function startCall(
  socketPath: string,
  agent: Agent | false,
  method: string,
  path: string,
  body?: unknown,
): ClientRequest {
  const payload = body === undefined ? '' : jsonText(body);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) };
  const call = httpRequest({ socketPath, method, path, agent, headers });
  call.end(payload);
  return call;
}

function responseTo(call: ClientRequest, socketPath: string, absent: Absent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.once('response', resolve);
    // Kept for the call's whole life: an error after the answer began also ends the response's own reader.
    call.on('error', (error) => reject(connectionError(error, socketPath, absent)));
  });
}

function connectionError(error: NodeJS.ErrnoException, path: string, absent: Absent): LoopwardenError {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return createError(absent, { path }, { cause: error });
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return createError('ERR_NOT_ROOT', { action: `connecting to ${path}` }, { cause: error });
  }
  return createError('ERR_AGENT_REFUSED', { reason: reasonOf(error) }, { cause: error });
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  try {
    for await (const chunk of response) text += chunk;
  } catch (error) {
    throw createError('ERR_AGENT_REFUSED', { reason: reasonOf(error) }, { cause: error });
  }
  return text;
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, undefined> {
  let rest = '';
  response.setEncoding('utf8');
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw createError(
      'ERR_AGENT_REFUSED',
      { reason: `the stream broke off: ${reasonOf(error)}` },
      { cause: error },
    );
  }
}

function parseAnswer(text: string, { statusCode = 0 }: IncomingMessage): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw createError(
      'ERR_AGENT_REFUSED',
      { reason: `its answer (${statusCode}) is no JSON` },
      { cause: error },
    );
  }
  if (statusCode === 200) return value;
  throw errorFromAnswer(value, statusCode);
}

function errorFromAnswer(value: unknown, statusCode: number): LoopwardenError {
  const { error } = (value ?? {}) as { error?: Record<string, unknown> };
  const { code, message, nextStep, where } = error ?? {};
  if (!isErrorCode(code)) return createError('ERR_AGENT_REFUSED', { reason: `it answered ${statusCode}` });
  return new LoopwardenError(
    code,
    String(message),
    String(nextStep),
    where === undefined ? {} : { where: String(where) },
  );
}
