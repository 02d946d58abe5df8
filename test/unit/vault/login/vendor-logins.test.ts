import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../../src/runtime/agents/agent-loader.ts';
import { systemClock } from '../../../../src/runtime/core/clock.ts';
import { CommandError } from '../../../../src/runtime/core/errors.ts';
import { silentLogger } from '../../../../src/runtime/core/log.ts';
import { VendorLogins, type VendorLoginsDeps } from '../../../../src/runtime/vault/login/vendor-logins.ts';
import { FakeImages } from '../../../support/fake-images.ts';
import { gid, resourcesDir, uid } from '../../../support/host.ts';
import { imageRequest } from '../../../support/images.ts';
import { VaultPlace } from '../../../support/sealed-store.ts';

let place: VaultPlace;
let directory: string;
let isStuck: boolean;
let running: string[];

/** Containers by name alone; one that is stuck cannot be removed. */
const engine: VendorLoginsDeps['engine'] = {
  idMapping: (user) => ({ kind: 'keep-id', user }),
  hostOwner: () => ({ uid, gid }),
  launch: async ({ name }) => {
    running.push(name);
    return { id: name };
  },
  remove: async (name) => {
    if (isStuck) throw new CommandError('Podman cannot remove it');
    running = running.filter((one) => one !== name);
  },
  inspect: async () => undefined,
  list: async () =>
    running.map((name) => ({
      id: name,
      name,
      labels: {},
      status: 'running',
      exitCode: 0,
      wasOutOfMemory: false,
      pid: undefined,
      startedAt: undefined,
      finishedAt: undefined,
    })),
};

async function makeLogins(): Promise<VendorLogins> {
  return new VendorLogins({
    engine,
    images: new FakeImages(),
    agents: new AgentLoader({ bundled: path.join(resourcesDir, 'agents'), own: '/nonexistent' }),
    store: await place.open(),
    imageRequest: async () => imageRequest(),
    networkProgram: async () => 'slirp4netns',
    directory: path.join(directory, 'logins'),
    instance: 'test',
    clock: systemClock,
    log: silentLogger,
  });
}

beforeEach(async () => {
  place = await VaultPlace.make();
  directory = await mkdtemp('/tmp/tk-logins-');
  isStuck = false;
  running = [];
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

describe('a login whose container cannot be removed', () => {
  it('keeps its directory, in which the container could exchange files for links, until it is gone', async () => {
    const logins = await makeLogins();
    const { container } = await logins.beginLogin('claude');
    const home = path.join(directory, 'logins', container, 'home');
    const outside = path.join(directory, 'outside');
    await writeFile(outside, 'of the host');
    await writeFile(path.join(home, 'login.json'), 'secret');
    await symlink(outside, path.join(home, 'link'));
    isStuck = true;
    await expect(logins.cancelLogin(container)).rejects.toThrow('cannot remove');
    expect(await readFile(path.join(home, 'login.json'), 'utf8')).toBe('secret');
    isStuck = false;
    const next = await makeLogins();
    await next.start();
    expect(running).toEqual([]);
    expect(await readdir(path.join(directory, 'logins'))).toEqual([]);
    expect(await readFile(outside, 'utf8')).toBe('of the host');
  });
});
