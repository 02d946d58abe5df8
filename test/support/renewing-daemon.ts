import path from 'node:path';
import { systemClock } from '../../src/runtime/core/clock.ts';
import type { CommandRunner } from '../../src/runtime/core/command.ts';
import { HostCommandRunner } from '../../src/runtime/core/exec.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { ProcessExchange } from '../../src/runtime/vault/oauth/process-exchange.ts';
import { Renewer } from '../../src/runtime/vault/oauth/renewer.ts';
import type { Renewal } from '../../src/runtime/vault/parts.ts';
import { SealedStore } from '../../src/runtime/vault/store/sealed-store.ts';
import type { StoredCredential } from '../../src/runtime/vault/stored-credential.ts';
import { EventRecorder } from './event-recorder.ts';

/**
 * What the daemon does for one login, as a process that dies at a step: directory, token endpoint, certificates, step.
 * Prints the access token that a request would have been sent with.
 */
const [directory = '', tokenUrl = '', certificates = '', dieAt = ''] = process.argv.slice(2);

const reach = (step: string): void => {
  if (step === dieAt) process.kill(process.pid, 'SIGKILL');
};

class MortalStore extends SealedStore {
  override beginRenewal(renewal: Renewal): void {
    super.beginRenewal(renewal);
    reach('begun');
  }
  override replace(
    info: { readonly provider: string; readonly set: string; readonly version: number },
    credential: StoredCredential,
  ) {
    reach('answered');
    const stored = super.replace(info, credential);
    reach('stored');
    return stored;
  }
  override endRenewal(id: string): void {
    reach('discarded');
    super.endRenewal(id);
    reach('ended');
  }
}

const real = new HostCommandRunner({ baseEnv: { PATH: process.env['PATH'] ?? '' } });
const runner: CommandRunner = {
  run: (command, options) => real.run(command, options),
  stream: (command) => real.stream(command),
  detach: async (command) => {
    const started = await real.detach(command);
    reach('started');
    return started;
  },
};
using exchange = new ProcessExchange({
  runner,
  directory: path.join(directory, 'renewals'),
  program: { file: process.execPath, args: [path.resolve(import.meta.dirname, '../../src/server/main.js')] },
  env: { NODE_EXTRA_CA_CERTS: certificates },
  clock: systemClock,
});
const store = new MortalStore({
  file: path.join(directory, 'vault.db'),
  directory,
  runner: real,
  clock: systemClock,
  log: silentLogger,
});
await store.start();
using renewer = new Renewer({
  store,
  exchange,
  clock: systemClock,
  events: {
    record: (event) => {
      process.stdout.write(`${event.kind}
`);
      return new EventRecorder().record(event);
    },
  },
  log: silentLogger,
  rules: async () => new Map([['vendor', { token_url: tokenUrl, client_id: 'tests', body: 'json' }]]),
});
renewer.start();
const live = await renewer.get('vendor', 'default');
if (live?.credential.kind === 'oauth') process.stdout.write(`${live.credential.access_token}\n`);
