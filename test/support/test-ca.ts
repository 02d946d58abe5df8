import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

/** A certificate authority for tests, with one server certificate; made anew each time, valid for a day. */
export interface TestCa {
  /** PEM of the authority: whoever trusts it trusts the servers. */
  readonly ca: string;
  /** PEM of a server, for `names`. */
  readonly cert: string;
  readonly key: string;
}

export async function testCa(
  names: readonly string[] = ['localhost', '127.0.0.1', 'storage.example.test'],
): Promise<TestCa> {
  const directory = await mkdtemp('/tmp/tca-');
  const file = (name: string): string => path.join(directory, name);
  const openssl = async (...args: readonly string[]): Promise<void> => {
    await execa('openssl', args, { cwd: directory, stdin: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  try {
    await openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '1',
      '-subj',
      '/CN=Test CA',
    );
    await openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
    const alternatives = names.map((name) => `${/^[0-9.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`).join(',');
    await writeFile(file('server.ext'), `subjectAltName=${alternatives}\n`);
    const signing = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '1',
      '-extfile',
      'server.ext',
    ];
    await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem');
    const [ca, cert, serverKey] = await Promise.all(
      ['ca.pem', 'server.pem', 'server.key'].map((name) => readFile(file(name), 'utf8')),
    );
    return { ca: ca ?? '', cert: cert ?? '', key: serverKey ?? '' };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
