import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runScript, type ScriptResult } from '../../support/container-script.ts';

let work: string;

beforeEach(() => {
  work = mkdtempSync(path.join(os.tmpdir(), 'scripted-'));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

const prompt = (input: string): Promise<ScriptResult> => runScript('terok-scripted', { cwd: work, input });
const read = (file: string): string => readFileSync(path.join(work, file), 'utf8');

it('says, writes and appends, making directories on the way', async () => {
  const result = await prompt(
    '# a comment\n\n  say hello  there\nwrite a/b.txt one two\nappend a/b.txt  three\n',
  );
  expect(result).toMatchObject({ code: 0, stdout: 'hello  there\n' });
  expect(read('a/b.txt')).toBe('one two\n three\n');
});

it('stops at a failing run with its code, and goes on past a failing try', async () => {
  const result = await prompt('try exit 3\nrun echo out; echo err >&2; exit 7\nsay never');
  expect(result).toEqual({ code: 7, stdout: 'tried, exit code 3\nout\n', stderr: 'err\n' });
});

it('does not let a step eat the steps that follow', async () => {
  const result = await prompt('run cat\nsay still here');
  expect(result.stdout).toBe('still here\n');
});

it('takes only the fenced steps of a prompt with prose', async () => {
  const result = await prompt(
    'Please do this:\n\n```steps\nsay one\n```\nand then\n```steps\r\nsay two\r\n```\nThank you!\n',
  );
  expect(result).toMatchObject({ code: 0, stdout: 'one\ntwo\n' });
});

it.each(['make me a sandwich', 'SAY hello'])(
  'names its steps when it does not know one: %s',
  async (step) => {
    const result = await prompt(step);
    expect(result.code).toBe(64);
    expect(result.stderr).toContain('steps are: say TEXT');
  },
);

it.each(['', '```steps\n```\n'])('refuses a prompt without steps: %j', async (text) => {
  expect((await prompt(text)).code).toBe(64);
});

it('exits as told', async () => {
  expect((await prompt('exit 9\nsay never')).code).toBe(9);
});

it('commits all there is, says which commit it made, and pushes', async () => {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: work, encoding: 'utf8' }).trim();
  git('init', '-q', '-b', 'main', '.');
  git('init', '-q', '--bare', `${work}.git`);
  git('remote', 'add', 'origin', `${work}.git`);
  const result = await prompt(
    'write new.txt x\ncommit Add: a "file"\npush\npush --force HEAD:refs/heads/fix/x\n',
  );
  expect(result.code).toBe(0);
  expect(result.stdout).toContain(`committed ${git('rev-parse', 'HEAD')}`);
  expect(git('log', '-1', '--format=%s|%an')).toBe('Add: a "file"|Terok task');
  expect(git('ls-remote', 'origin').split('\n').length).toBe(2);
  rmSync(`${work}.git`, { recursive: true });
});

it('tells an open port from a refused one, with the time it took', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const open = await prompt(`connect 127.0.0.1 ${port}`);
  await new Promise((resolve) => server.close(resolve));
  const refused = await prompt(`connect 127.0.0.1 ${port}\nconnect name.invalid 80`);
  expect(open.stdout).toMatch(new RegExp(`^connect 127.0.0.1:${port} open in [0-9]+ ms\n$`));
  expect(refused.stdout).toMatch(/refused in [0-9]+ ms\nconnect name.invalid:80 unreachable in/);
  expect(refused.code).toBe(0);
});

it('treats a host that looks like shell code as a name', async () => {
  await prompt('connect $(touch$IFS-pwned) 80\nconnect `touch>pwned` 80');
  expect(existsSync(path.join(work, 'pwned'))).toBe(false);
});
