/** Bounds of both servers: what a client may hold of the agent's memory and time. */
import { createServer, type RequestListener, type Server } from 'node:http';

const MAX_CONNECTIONS = 64;

/** Connections past the bound are closed at once; slow headers and requests end in 408. */
export function createBoundedServer(onRequest: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
    },
    onRequest,
  );
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/** Ends idle and busy connections alike; settles when the address is free again. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
