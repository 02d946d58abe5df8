import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestCa, testCa } from './test-ca.ts';

/** A certificate authority of a test that other processes can be told of. */
export interface TestAuthority extends TestCa, AsyncDisposable {
  /** PEM file: NODE_EXTRA_CA_CERTS of whoever is to trust it. */
  readonly file: string;
}

export async function testAuthority(): Promise<TestAuthority> {
  const [made, directory] = await Promise.all([testCa(), mkdtemp('/tmp/tk-ca-')]);
  const file = path.join(directory, 'ca.pem');
  await writeFile(file, made.ca);
  return { ...made, file, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}
