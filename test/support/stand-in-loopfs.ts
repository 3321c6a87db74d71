/** Answers for the loopfs process where only placing is tested: its instance is a tmpfs with one node. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { readContainer } from '../../src/loopfs/container.js';
import { createPlacements } from '../../src/loopfs/placements.js';
import { readJsonBody } from '../../src/web/json-body.js';
import { defer } from './defer.js';
import { makeDetachedMount } from './detached-mount.js';
import { tempFolder } from './temp-folder.js';

export interface LoopfsFixture {
  socket: string;
  /** METHOD PATH of every request so far. */
  requests: string[];
  bodies: Record<string, unknown>[];
}

/** `number`: of the loop device whose node the instance has. */
export async function startStandInLoopfs(t: TestContext, number: number): Promise<LoopfsFixture> {
  const socket = join(tempFolder(t), 'loopfs.sock');
  const requests: string[] = [];
  const bodies: Record<string, unknown>[] = [];
  const placements = createPlacements(loadNative());
  const handle = async (method: string, path: string, body: Record<string, unknown>): Promise<unknown> => {
    requests.push(`${method} ${path}`);
    bodies.push(body);
    const name = path.split('/')[4];
    if (method === 'POST' && name !== undefined) {
      const { pid, startTicks, rootUid } = readContainer(body.pid as number);
      const mount = await makeDetachedMount(t, rootUid, [number]);
      const container = { pid, startTime: String(startTicks) };
      const nodes = [`loop${number}`];
      const ids = { uidBase: rootUid, gidBase: rootUid };
      await placements.place({
        ...{ name, container, mountFd: mount.fd, nodes, root: body.root as string },
        ...ids,
      });
      await mount.close();
    }
    if (method === 'DELETE' && name !== undefined) placements.release(name);
    return {};
  };
  const server = createServer((request, response) => {
    readJsonBody(request)
      .catch(() => ({}))
      .then((body) => handle(request.method ?? '', request.url ?? '', body))
      .then(
        (answer) => response.end(JSON.stringify(answer)),
        (error) => {
          const { code, message, nextStep } = error as Record<string, unknown>;
          response.statusCode = 409;
          response.end(JSON.stringify({ error: { code, message, nextStep } }));
        },
      );
  });
  server.listen(socket);
  await once(server, 'listening');
  defer(t, () => {
    server.close();
    server.closeAllConnections();
    placements.close();
  });
  return { socket, requests, bodies };
}
