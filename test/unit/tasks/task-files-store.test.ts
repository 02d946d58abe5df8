import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentConfigFile } from '../../../src/runtime/agents/contract.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';
import { TaskFilesStore } from '../../../src/runtime/tasks/task-files-store.ts';
import { exampleTask } from '../../support/example-spec.ts';
import { gid, runner, type TestHost, testHost, uid } from '../../support/host.ts';

let host: TestHost;
let store: TaskFilesStore;
const task = exampleTask();
beforeEach(async () => {
  host = await testHost();
  store = new TaskFilesStore({ paths: host.paths, runner, namespacePrefix: async () => [] });
  await store.create(task, { uid, gid });
});
afterEach(() => host[Symbol.asyncDispose]());

const file = (change: Partial<AgentConfigFile>): AgentConfigFile => ({
  path: 'instructions.md',
  content: 'Be brief.\n',
  isExecutable: false,
  mountedAt: undefined,
  ...change,
});
const mode = (name: string): number => statSync(name).mode & 0o777;

describe('what an agent is told', () => {
  it('is readable for its container whatever the umask, and behind a directory that is ours alone', async () => {
    const before = process.umask(0o077);
    try {
      await store.writeConfig(task, [
        file({}),
        file({ path: 'approvals/claude/settings.json', content: '{}' }),
        file({ path: 'bin/claude', content: '#!/bin/sh\n', isExecutable: true }),
      ]);
    } finally {
      process.umask(before);
    }
    const { root, agentConfig } = store.pathsOf(task);
    expect(mode(root)).toBe(0o700);
    for (const directory of ['', 'approvals', 'approvals/claude', 'bin']) {
      expect(mode(path.join(agentConfig, directory)), directory).toBe(0o755);
    }
    expect(mode(path.join(agentConfig, 'instructions.md'))).toBe(0o644);
    expect(mode(path.join(agentConfig, 'bin/claude'))).toBe(0o755);
    expect(readFileSync(path.join(agentConfig, 'approvals/claude/settings.json'), 'utf8')).toBe('{}');
  });

  it('is replaced as a whole, and leaves no half-written file', async () => {
    await store.writeConfig(task, [file({ content: 'one' })]);
    await store.writeConfig(task, [file({ content: 'two' })]);
    const { agentConfig } = store.pathsOf(task);
    expect(readdirSync(agentConfig)).toEqual(['instructions.md']);
    expect(readFileSync(path.join(agentConfig, 'instructions.md'), 'utf8')).toBe('two');
  });

  it('is never written through a link that a container of an earlier release left there', async () => {
    const { agentConfig } = store.pathsOf(task);
    const precious = path.join(host.directory, 'precious');
    mkdirSync(precious, { mode: 0o700 });
    writeFileSync(path.join(precious, 'claude'), 'mine');
    mkdirSync(agentConfig);
    symlinkSync(precious, path.join(agentConfig, 'bin'));
    await store.writeConfig(task, [file({ path: 'bin/claude' })]);
    rmSync(agentConfig, { recursive: true });
    symlinkSync(precious, agentConfig);
    await store.writeConfig(task, [file({ path: 'claude' })]);
    expect(lstatSync(agentConfig).isDirectory()).toBe(true);
    expect(readFileSync(path.join(agentConfig, 'claude'), 'utf8')).toBe('Be brief.\n');
    expect(readFileSync(path.join(precious, 'claude'), 'utf8')).toBe('mine');
    expect(readdirSync(precious)).toEqual(['claude']);
    expect(mode(precious)).toBe(0o700);
  });

  it('holds nothing of an earlier start that is not told any more', async () => {
    await store.writeConfig(task, [file({}), file({ path: 'bin/claude', isExecutable: true })]);
    await store.writeConfig(task, [file({})]);
    expect(readdirSync(store.pathsOf(task).agentConfig)).toEqual(['instructions.md']);
  });

  it.each(['../escaped', '..', 'a/../../escaped', '.'])(
    'never lies outside of its directory: %s',
    async (name) => {
      await expect(store.writeConfig(task, [file({ path: name })])).rejects.toThrow(
        'outside of agent-config',
      );
      expect(existsSync(path.join(store.pathsOf(task).root, 'escaped'))).toBe(false);
    },
  );
});

it('what an agent leaves in its own directory is removed and never followed', async () => {
  const { agentState, root } = store.pathsOf(task);
  const precious = path.join(host.directory, 'precious');
  mkdirSync(precious);
  writeFileSync(path.join(precious, 'file'), 'mine');
  symlinkSync(precious, path.join(agentState, 'link'));
  symlinkSync('/etc/passwd', path.join(agentState, 'instructions.md'));
  execFileSync('mkfifo', [path.join(agentState, 'session')]);
  rmSync(path.join(root, 'workspace-dangerous'), { recursive: true });
  symlinkSync(precious, path.join(root, 'workspace-dangerous'));
  await store.writeConfig(task, [file({})]);
  await store.archive(task, 'now');
  await store.remove(task);
  expect(existsSync(root)).toBe(false);
  expect(readFileSync(path.join(precious, 'file'), 'utf8')).toBe('mine');
});

describe('a real credential', () => {
  it('lies in a file of its own for as long as it is needed, and is never printed', async () => {
    const secrets = new Map([['API_KEY', new Secret('s3cret')]]);
    await store.writeSecrets(task, secrets);
    const file = path.join(store.pathsOf(task).services, 'environment/API_KEY');
    expect(readFileSync(file, 'utf8')).toBe('s3cret');
    expect(mode(file)).toBe(0o644);
    // Nobody else of this machine comes that far.
    expect(mode(host.paths.services)).toBe(0o700);
    expect(JSON.stringify([...secrets])).not.toContain('s3cret');
    await store.removeSecrets(task);
    await store.removeSecrets(task);
    expect(existsSync(path.dirname(file))).toBe(false);
  });
});

it('a log that is not there yet has no size', async () => {
  expect(await store.logSize(task)).toBe(0);
  writeFileSync(store.pathsOf(task).log, 'four');
  expect(await store.logSize(task)).toBe(4);
});
