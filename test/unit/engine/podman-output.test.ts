import { describe, expect, it } from 'vitest';
import {
  parseContainers,
  parseImageLabels,
  parseInfo,
  parseStarted,
} from '../../../src/runtime/engine/podman/podman-output.ts';

const inspect = (state: object) =>
  JSON.stringify([
    {
      Id: 'abc',
      Name: 'demo-run-k3f9a',
      State: { ExitCode: 0, ...state },
      Config: { Labels: { 'ai.terok.task': 'k3f9a' } },
    },
  ]);
const ok = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 });

describe('what Podman says of containers', () => {
  it.each([
    ['created', 'created'],
    ['configured', 'created'],
    ['running', 'running'],
    ['paused', 'running'],
    ['stopping', 'running'],
    ['something-new', 'running'],
    ['exited', 'exited'],
    ['stopped', 'exited'],
  ])('%s is %s', (status, expected) => {
    expect(parseContainers(ok(inspect({ Status: status })))[0]?.status).toBe(expected);
  });

  it('knows no time for what never happened', () => {
    const [container] = parseContainers(
      ok(
        inspect({
          Status: 'running',
          Pid: 7,
          StartedAt: '2026-01-02T03:04:05.678901234+01:00',
          FinishedAt: '0001-01-01T00:00:00Z',
        }),
      ),
    );
    expect(container).toMatchObject({ pid: 7, startedAt: '2026-01-02T02:04:05.678Z', finishedAt: undefined });
  });

  it('an absent container is absent, a failed query is thrown (L5)', () => {
    expect(
      parseContainers({ stdout: '[]\n', stderr: 'Error: no such container "x"', exitCode: 125 }),
    ).toEqual([]);
    expect(() => parseContainers({ stdout: '', stderr: 'Error: database is locked', exitCode: 125 })).toThrow(
      'could not inspect',
    );
  });

  it('an absent image is absent, a failed query is thrown', () => {
    expect(
      parseImageLabels({ stdout: '[]', stderr: 'Error: x: image not known', exitCode: 125 }),
    ).toBeUndefined();
    expect(() => parseImageLabels({ stdout: '', stderr: 'Error: storage is broken', exitCode: 125 })).toThrow(
      'could not inspect',
    );
    expect(parseImageLabels(ok('[{"Labels":null}]'))).toEqual({});
  });

  it('a container that is not there cannot be started; any other refusal is thrown with its reason', () => {
    expect(parseStarted(ok('demo-run-k3f9a\n'))).toBe(true);
    const gone = 'Error: no container with name or ID "x" found: no such container';
    expect(parseStarted({ stdout: '', stderr: gone, exitCode: 125 })).toBe(false);
    const broken = 'Error: unable to start container "x": mount source is gone';
    expect(() => parseStarted({ stdout: '', stderr: broken, exitCode: 125 })).toThrow(
      'could not be started again',
    );
  });

  it('that cannot be read is an error, not a guess', () => {
    expect(() => parseContainers(ok('not json'))).toThrow('not what this release understands');
    expect(() => parseInfo(ok('{}'))).toThrow('not what this release understands');
  });
});
