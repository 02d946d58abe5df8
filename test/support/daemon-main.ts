import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/server/cli/command-line.ts';
import { loadHost } from '../../src/server/host-loader.ts';
import { runPipe } from '../../src/server/pipe.ts';
import { FakeRuntime } from './fake-runtime.ts';

// What src/server/main.ts does, over a runtime that needs no Podman.
const host = loadHost(process, fileURLToPath(import.meta.url));
const services = {
  createRuntime: async () => {
    if (host.env['TEROK_TEST_BROKEN'] === '1') throw new Error('the runtime is broken on purpose');
    return new FakeRuntime();
  },
  createSetup: async () => ({
    run: async () => [
      {
        check: 'host.packages',
        level: 'fail' as const,
        message: 'podman is missing',
        fix: 'apt-get install podman',
      },
    ],
  }),
  podmanCommand: async () => ({
    file: host.env['TEROK_TEST_PODMAN'] ?? 'echo',
    args: ['podman'],
    env: {},
  }),
};
if (host.argv.length === 1 && host.argv[0] === 'stdio') process.exit(await runPipe(host));
const exitCode = await runCommandLine(host, services);
process.stdout.write('', () => process.exit(exitCode));
