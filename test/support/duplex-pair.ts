import { Duplex } from 'node:stream';

/** Two ends of one connection, without a socket. When one is destroyed the other closes. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const make = (other: () => Duplex | undefined) =>
    new Duplex({
      read: () => undefined,
      write: (chunk, _encoding, done) => {
        other()?.push(chunk);
        done();
      },
      final: (done) => {
        other()?.push(null);
        done();
      },
      destroy: (error, done) => {
        other()?.destroy();
        done(error);
      },
    });
  const near = make(() => ends[1]);
  const far = make(() => ends[0]);
  ends.push(near, far);
  return [near, far];
}
