#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { loadHost } from './host-loader.ts';

const host = loadHost(process, fileURLToPath(import.meta.url));

if (host.argv.length === 1 && host.argv[0] === 'stdio') {
  // What an MCP client launches: a byte pipe that loads no dependency.
  const { runPipe } = await import('./pipe.ts');
  process.exit(await runPipe(host));
} else if (host.argv.length === 1 && host.argv[0] === 'renew-credential') {
  const { renewCredential } = await import('./renew-credential.ts');
  process.exit(await renewCredential(host));
} else {
  const { runCommandLine } = await import('./cli/command-line.ts');
  const exitCode = await runCommandLine(host);
  process.stdout.write('', () => process.exit(exitCode));
}
