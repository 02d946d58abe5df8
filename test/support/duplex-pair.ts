import { Duplex, PassThrough } from 'node:stream';

/** Two ends of one connection, without a socket. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const there = new PassThrough();
  const back = new PassThrough();
  return [Duplex.from({ readable: back, writable: there }), Duplex.from({ readable: there, writable: back })];
}
