/** Started by a service manager: takes its socket, and answers one connection with what it took. */
import { takePassedListener } from '../../src/notify/passed-listener.js';

const taken = await takePassedListener(process.env);
const left = Object.keys(process.env).filter((name) => name.startsWith('LISTEN_'));
if (taken === undefined) console.log('nothing was passed');
else
  taken.server.once('connection', (socket) => {
    socket.end(JSON.stringify({ address: taken.address, port: taken.port, left }));
    taken.server.close();
  });
