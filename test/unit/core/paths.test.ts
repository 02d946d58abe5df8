import { describe, expect, it } from 'vitest';
import { resolvePaths } from '../../../src/runtime/core/paths.ts';

const input = (env: Record<string, string>, overrides: { uid?: number; owns?: boolean } = {}) => ({
  env,
  home: '/home/ada',
  uid: overrides.uid ?? 1001,
  ownsDirectory: () => overrides.owns ?? true,
});

describe('paths', () => {
  it('follow the XDG directories', () => {
    const paths = resolvePaths(input({ XDG_CONFIG_HOME: '/c', XDG_DATA_HOME: '/d', XDG_RUNTIME_DIR: '/r' }));
    expect(paths.projects).toBe('/c/terok/projects');
    expect(paths.database).toBe('/d/terok/state.db');
    expect(paths.daemonSocket).toBe('/r/terok/daemon.sock');
    expect(paths.podman).toEqual({
      graphRoot: '/d/terok/containers',
      runRoot: '/r/terok-podman/run',
      tmpDir: '/r/terok-podman/tmp',
      containersConf: '/d/terok/containers.conf',
    });
  });

  it('fall back to /run/user when XDG_RUNTIME_DIR is unset, and to a directory of our own when that is not ours', () => {
    expect(resolvePaths(input({})).runtime).toBe('/run/user/1001/terok');
    expect(resolvePaths(input({}, { owns: false })).runtime).toBe('/tmp/terok-runtime-1001/terok');
  });

  it('keep the state of root out of /root, whose mode Podman would open', () => {
    const paths = resolvePaths(input({}, { uid: 0 }));
    expect(paths.state).toBe('/var/lib/terok');
    expect(paths.runtime).toBe('/run/terok');
  });

  it('of two state directories differ in their instance', () => {
    const one = resolvePaths(input({ TEROK_STATE_DIR: '/one' }));
    const two = resolvePaths(input({ TEROK_STATE_DIR: '/two' }));
    expect(one.instance).not.toBe(two.instance);
    expect(one.podman).toEqual(two.podman);
  });

  it.each([
    [{ TEROK_STATE_DIR: 'relative' }, 'absolute'],
    [{ TEROK_STATE_DIR: '/with:colon' }, 'colon'],
    [{ TEROK_RUNTIME_DIR: '/with,comma' }, 'comma'],
    [{ TEROK_RUNTIME_DIR: `/${'x'.repeat(90)}` }, '107'],
  ])('refuse %j with a reason', (env, reason) => {
    expect(() => resolvePaths(input(env))).toThrow(reason);
  });
});
