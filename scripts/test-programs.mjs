// Programs that tests and benches run besides those of the product: Debian's own, installed where we may.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { runProgram, withProgress } from './bootstrap.mjs';

export const SSHD = { program: '/usr/sbin/sshd', package: 'openssh-server' };
export const NGINX = { program: '/usr/sbin/nginx', package: 'nginx-light' };

/** Says to maintainer scripts that no service may be started (invoke-rc.d(8)). */
const POLICY = '/usr/sbin/policy-rc.d';

/** Throws where one is missing and cannot be installed. The services that come with them are not started. */
export async function ensurePrograms(wanted) {
  const missing = wanted.filter(({ program }) => !existsSync(program)).map((one) => one.package);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`ask an administrator to install: ${missing.join(' ')}`);
  const apt = (args) =>
    runProgram('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  const isOurs = !existsSync(POLICY);
  if (isOurs) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await withProgress(`Installing ${missing.join(', ')}`, async () => {
      const install = ['install', '-y', '--no-install-recommends', '--', ...missing];
      if ((await apt(install)) === 0) return;
      await apt(['update']);
      if ((await apt(install)) !== 0) throw new Error(`${missing.join(', ')} could not be installed`);
    });
  } finally {
    if (isOurs) rmSync(POLICY, { force: true });
  }
}
