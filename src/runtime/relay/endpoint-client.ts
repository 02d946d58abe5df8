import { connect, type Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';

const CONNECT_TIMEOUT_MS = 15_000;

/** Dials the endpoint. Either side may end its direction first. An endpoint that does not answer is an error of the socket. */
export function dialEndpoint(endpoint: Endpoint): Socket {
  const socket = connect(
    endpoint.kind === 'unix'
      ? { path: endpoint.path, allowHalfOpen: true }
      : { host: endpoint.host, port: endpoint.port, allowHalfOpen: true, noDelay: true, keepAlive: true },
  );
  // Only the dialling has a deadline: a model may think for a long time without a byte.
  const deadline = setTimeout(
    () => socket.destroy(new Error('the endpoint did not answer')),
    CONNECT_TIMEOUT_MS,
  );
  const settled = (): void => clearTimeout(deadline);
  socket.once('connect', settled).once('close', settled);
  return socket;
}
