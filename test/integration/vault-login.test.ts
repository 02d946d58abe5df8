import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { asText } from '../../src/runtime/core/command.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { LABEL } from '../../src/runtime/engine/contract.ts';
import { podmanBase } from '../../src/runtime/engine/podman/podman-commands.ts';
import type { PodmanEngine } from '../../src/runtime/engine/podman/podman-engine.ts';
import { VendorLogins } from '../../src/runtime/vault/login/vendor-logins.ts';
import {
  hostEnvironment,
  podmanEngine,
  resourcesDir,
  runner,
  type TestHost,
  testHost,
} from '../support/host.ts';
import { imageBuilder, imageRequest } from '../support/images.ts';
import { PlainStore } from '../support/plain-store.ts';
import { eventually, Shipped } from '../support/shipped.ts';
import { Terminal } from '../support/terminal.ts';

const TOKEN = 'sk-login-0123456789abcdef';

/** Of the host's loopback, for what comes back from a browser. */
const CALLBACK = 24_551;

/** Stands for a vendor's program: asks the person, then writes what such programs write, or whatever a test wants. */
const VENDOR = `
read -r -p 'Code from the browser: ' code
case $code in
  good) printf '{"vendor":{"accessToken":"${TOKEN}","refreshToken":"rt-1","expiresAt":1893456000123,"plan":"max"}}' > ~/.vendor/login.json ;;
  link) printf '{"vendor":{"accessToken":"${TOKEN}"}}' > ~/.vendor/real.json; ln -s real.json ~/.vendor/login.json ;;
  half) printf '{"vendor":{"refreshToken":"${TOKEN}"}}' > ~/.vendor/login.json ;;
  fail) printf '{"vendor":{"accessToken":"${TOKEN}"}}' > ~/.vendor/login.json; exit 3 ;;
  back) echo listening; socat -u TCP-LISTEN:${CALLBACK},bind=127.0.0.1 - ;;
  look) env; cat /proc/mounts; ls -A ~/.vendor /run/terok /workspace 2>&1; id -u; grep CapEff /proc/self/status ;;
  dial*) set -- $code; (exec 3<> "/dev/tcp/$2/$3") 2>&1 && echo reached ;;
esac
echo 'That was it.'`;

let host: TestHost;
let engine: PodmanEngine;
let store: PlainStore;
let logins: VendorLogins;
let directory: string;

beforeEach(async () => {
  host = await testHost();
  engine = podmanEngine(host.paths);
  await mkdir(host.paths.state, { recursive: true });
  directory = await mkdtemp('/tmp/tk-logins-');
  store = new PlainStore(path.join(host.paths.state, 'store.json'));
  await addVendor(host);
  logins = makeLogins();
});

/** Gives the scripted agent, whose image is there, a login of its own. */
async function addVendor({ paths }: TestHost): Promise<void> {
  const own = path.join(paths.config, 'agents');
  await mkdir(own, { recursive: true });
  await writeFile(
    path.join(own, 'scripted.yaml'),
    stringify({
      auth: {
        modes: ['oauth'],
        directory: { host: '_vendor', container: '/home/dev/.vendor' },
        login: { command: ['bash', '-c', VENDOR], publish: [`127.0.0.1:${CALLBACK}:${CALLBACK}`] },
        hint: 'Type the code.',
        extract: [
          {
            kind: 'oauth',
            file: 'login.json',
            format: 'json',
            fields: {
              access_token: '/vendor/accessToken',
              refresh_token: '/vendor/refreshToken',
              expires_at: '/vendor/expiresAt',
              plan: '/vendor/plan',
            },
            milliseconds: ['expires_at'],
          },
        ],
      },
    }),
  );
}

afterEach(async () => {
  await logins[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
  await host[Symbol.asyncDispose]();
});

const makeLogins = (): VendorLogins =>
  new VendorLogins({
    engine,
    images: imageBuilder(),
    agents: new AgentLoader({
      bundled: path.join(resourcesDir, 'agents'),
      own: path.join(host.paths.config, 'agents'),
    }),
    store,
    imageRequest: async () => imageRequest(),
    networkProgram: async () => 'slirp4netns',
    directory,
    instance: host.paths.instance,
    clock: systemClock,
    log: silentLogger,
  });

function attached(container: string): Terminal {
  const base = podmanBase(host.paths.podman);
  return new Terminal(['podman', ...base.args, 'attach', '--detach-keys=', container], {
    ...hostEnvironment(),
    ...base.env,
  });
}

/** A login in which a person types this code, and what was shown meanwhile. */
async function typedIn(code: string) {
  const { container, hint } = await logins.beginLogin('scripted');
  expect(hint).toBe('Type the code.');
  await using terminal = attached(container);
  await terminal.sees(/Code from the browser: $/);
  terminal.type(`${code}\r`);
  await terminal.exited();
  return { container, shown: terminal.shown };
}

async function expectNothingLeft(): Promise<void> {
  expect(await engine.list({ [LABEL.login]: host.paths.instance })).toEqual([]);
  expect(await readdir(directory)).toEqual([]);
}

describe("a login by a vendor's own program", () => {
  it('puts what it left into the vault, and nothing of it stays', async () => {
    const { container } = await typedIn('good');
    expect(await logins.finishLogin(container)).toMatchObject({
      provider: 'scripted',
      set: 'default',
      kind: 'oauth',
      expiresAt: '2030-01-01T00:00:00.000Z',
    });
    expect(store.open({ provider: 'scripted', set: 'default' })?.credential).toEqual({
      kind: 'oauth',
      access_token: TOKEN,
      refresh_token: 'rt-1',
      expires_at: 1893456000,
      facts: { plan: 'max' },
    });
    await expectNothingLeft();
  });

  it('finds nothing but an empty directory and a way out of the machine', async () => {
    const { container, shown } = await typedIn('look');
    await expect(logins.finishLogin(container)).rejects.toThrow('no credential');
    expect(shown).toMatch(/\s\/home\/dev\/\.vendor\s/);
    expect(shown).not.toMatch(/\/run\/terok\s[a-z]|\/workspace\s[a-z]+ rw|TEROK|TOKEN=|SSH_AUTH_SOCK/);
    expect(shown).toMatch(/\n1000\n/);
    expect(shown).toMatch(/CapEff:\s+0000000000000000/);
    await expectNothingLeft();
  });

  it('does not reach the loopback of the machine', async () => {
    const server = createServer((_, response) => response.end('secret')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    for (const name of ['10.0.2.2', '127.0.0.1']) {
      const { container, shown } = await typedIn(`dial ${name} ${port}`);
      expect(shown).not.toContain('reached');
      await logins.cancelLogin(container);
    }
    await expectNothingLeft();
    // The way is there where Podman is not told otherwise.
    const base = podmanBase(host.paths.podman);
    const open = '--network=slirp4netns:allow_host_loopback=true';
    const dial = `exec 3<> /dev/tcp/10.0.2.2/${port} && echo reached`;
    const image = 'localhost/terok-l1-cli:debian-trixie-scripted';
    const said = await runner.run({
      file: 'podman',
      args: [...base.args, 'run', '--rm', open, '--tmpfs=/sys:ro,size=4k', '--', image, 'bash', '-c', dial],
      env: base.env,
      parse: asText,
    });
    expect(said).toContain('reached');
    server.close();
  });

  it('hears a browser of this machine at the port that the roster names', async () => {
    const { container } = await logins.beginLogin('scripted');
    await using terminal = attached(container);
    await terminal.sees(/Code from the browser: $/);
    terminal.type('back\r');
    const heard = await terminal.sees(/listening\n/);
    const isHeard = async (): Promise<boolean> => {
      connect(CALLBACK, '127.0.0.1')
        .on('error', () => undefined)
        .end('code=from-the-browser\n');
      await delay(500);
      return terminal.shown.includes('code=from-the-browser', heard);
    };
    expect(await eventually(isHeard, (was) => was)).toBe(true);
    await terminal.exited();
    await logins.cancelLogin(container);
    await expectNothingLeft();
  });

  it.each([
    ['half', 'login.json has no access_token'],
    ['link', 'is a link'],
  ])('that leaves no credential (%s) says which field, and no value', async (code, said) => {
    const { container } = await typedIn(code);
    const failure: unknown = await logins.finishLogin(container).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'COMMAND_FAILED', details: expect.stringContaining(said) });
    expect(JSON.stringify(failure)).not.toContain(TOKEN);
    expect(store.list()).toEqual([]);
    await expectNothingLeft();
  });

  it('that fails or is given up captures nothing', async () => {
    const failed = await typedIn('fail');
    await expect(logins.finishLogin(failed.container)).rejects.toThrow('exit code 3');
    const { container } = await logins.beginLogin('scripted');
    await using terminal = attached(container);
    await terminal.sees(/Code from the browser: $/);
    terminal.type('\u0003');
    await terminal.exited();
    await expect(logins.finishLogin(container)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(store.list()).toEqual([]);
    await expectNothingLeft();
  });

  it('that a crash cut short is gone after the next start, with its files', async () => {
    await logins.beginLogin('scripted');
    expect(await engine.list({ [LABEL.login]: host.paths.instance })).toHaveLength(1);
    const next = makeLogins();
    await next.start();
    await expectNothingLeft();
    await next[Symbol.asyncDispose]();
  });

  it('is refused for what has none, and while the vault is locked', async () => {
    await expect(logins.beginLogin('scriptd')).rejects.toMatchObject({ hint: 'Did you mean scripted?' });
    await expect(logins.beginLogin('vibe')).rejects.toThrow('no login of its own');
    await expect(logins.beginLogin('claude')).rejects.toThrow("not in the agents' image");
    store.setLocked(true);
    await expect(logins.beginLogin('scripted')).rejects.toThrow('The vault is locked');
    await expectNothingLeft();
  });
});

describe('terok-mcp auth --login', () => {
  const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');
  let shipped: Shipped;
  beforeEach(async () => {
    shipped = await Shipped.make();
    await addVendor(shipped.host);
    return () => shipped[Symbol.asyncDispose]();
  });

  const leftOver = async (): Promise<readonly string[]> => [
    ...(await engine.list({ [LABEL.login]: shipped.host.paths.instance })).map(({ name }) => name),
    ...(await readdir(path.join(shipped.host.paths.runtime, 'logins'))),
  ];
  const login = (): Terminal =>
    new Terminal([process.execPath, main, 'auth', 'scripted', '--login'], shipped.environment());

  it('is one command at a terminal, which says what was kept and never a value', async () => {
    await using terminal = login();
    await terminal.sees(/Type the code\.[\s\S]*Code from the browser: $/);
    terminal.type('good\r');
    expect(await terminal.exited()).toBe(0);
    expect(terminal.shown).toContain('Kept in the vault: the login of scripted, for all projects');
    expect(terminal.shown).toContain('2030-01-01T00:00:00.000Z');
    expect(terminal.shown).not.toContain(TOKEN);
    const listed = await shipped.run(['vault', 'list', '--json']);
    expect(listed).toContain('"scripted"');
    expect(listed).not.toContain(TOKEN);
    expect(await leftOver()).toEqual([]);
  });

  it('is gone with the window it was in', async () => {
    await using terminal = login();
    await terminal.sees(/Code from the browser: $/);
    expect(await leftOver()).toHaveLength(2);
    await terminal[Symbol.asyncDispose]();
    expect(await eventually(leftOver, (left) => left.length === 0)).toEqual([]);
    expect(await shipped.run(['vault', 'list', '--json'])).not.toContain('scripted');
  });

  it('is given up with Ctrl-C, and keeps nothing', async () => {
    await using terminal = login();
    await terminal.sees(/Code from the browser: $/);
    terminal.type('\u0003');
    expect(await terminal.exited()).toBe(1);
    expect(terminal.shown).toContain('was given up');
    expect(await leftOver()).toEqual([]);
  });
});
