/** The attacker found the agent's control socket in its container, where a careless mount left it, and would switch hiding off. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { startMappedContainer } from '../support/mapped-container.js';
import { setStage } from '../support/stage.js';

const SWITCH_OFF = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
try:
    s.connect(sys.argv[1])
    body = b'{"mode":"off"}'
    s.sendall(b"PUT /api/v1/filter HTTP/1.1\\r\\nHost: agent\\r\\nContent-Type: application/json\\r\\n"
              b"Connection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    say(s.recv(4096).split(b"\\r\\n")[0].decode())
except OSError as error: say(errno.errorcode[error.errno])
`;

test('the root of a container with ids of its own may not even connect', async (t) => {
  const stage = await setStage(t);
  const container = await startMappedContainer(t, { prepare: 'mount --make-rprivate /' });
  const socket = stage.agent.env.LOOPWARDEN_API_SOCKET ?? '';
  // So that nothing but the socket's own mode stands in between.
  chmodSync(dirname(socket), 0o755);
  assert.deepEqual(said(await container.run(attack(SWITCH_OFF, socket))), ['EACCES']);
  assert.equal((await stage.agent.ask('status')).filterMode, 'hide');
});
