import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resourcesDir } from '../../support/host.ts';

const script = readFileSync(path.join(resourcesDir, 'images/install-agent.sh'), 'utf8');
const functionOf = (name: string): string =>
  new RegExp(`^${name}\\(\\) \\{$[\\s\\S]*?^\\}$`, 'm').exec(script)?.[0] ?? '';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'install-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** What is noted of an agent whose installation printed this. */
function noted(log: readonly string[]): string {
  writeFileSync(path.join(root, 'log'), log.join('\n'));
  const run = `${functionOf('reason')}\n${functionOf('leave_out')}\nleave_out "$(reason "$notes/log")"`;
  execFileSync('sh', ['-c', `name=agent notes=$0\n${run}`, root], { stdio: 'pipe' });
  return readFileSync(path.join(root, 'agent'), 'utf8').trim();
}

describe('why an agent is left out', () => {
  it('is what went wrong, not the insides that npm shows of it', () => {
    const log = [
      'npm error code ECONNREFUSED',
      'npm error FetchError: request to http://registry:9/upper failed, reason: connect ECONNREFUSED',
      'npm error     at ClientRequest.emit (node:events:514:28) {',
      "npm error   code: 'ECONNREFUSED',",
      "npm error   requiredBy: '.'",
      'npm error }',
      'npm error',
      "npm error If you are behind a proxy, please make sure that the 'proxy' config is set properly.",
    ];
    expect(noted(log)).toBe(log[1]);
    expect(noted(["npm error 404  'upper@1.0.0' is not in this registry."])).toContain(
      'not in this registry',
    );
  });

  it('has no password of an address in it, for it becomes part of the image', () => {
    expect(noted(['cannot reach https://me:secret@mirror.example/x'])).toBe(
      'cannot reach https://***@mirror.example/x',
    );
  });
});
