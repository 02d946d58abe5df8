import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { hostEnvironment, runner, testHost } from '../support/host.ts';

const main = path.resolve(import.meta.dirname, '../../dist/server/main.js');

/** Everything below a directory, itself included: name, kind and mode, size, and when it last changed. */
async function listing(directory: string): Promise<readonly string[]> {
  const names = ['.', ...(await readdir(directory, { recursive: true }))].sort();
  return await Promise.all(
    names.map(async (name) => {
      const { mode, size, mtimeMs, ino } = await lstat(path.join(directory, name));
      return `${name} ${mode.toString(8)} ${size} ${mtimeMs} ${ino}`;
    }),
  );
}

async function setup(environment: Readonly<Record<string, string>>, ...options: readonly string[]) {
  return await runner.run({
    file: process.execPath,
    args: [main, 'setup', ...options],
    env: { ...hostEnvironment(), ...environment },
    okCodes: [0, 1],
    timeoutMs: 120_000,
    parse: ({ exitCode, stdout }) => ({ exitCode, stdout }),
  });
}

it('a check of the set-up changes nothing, and a second set-up nothing either', async () => {
  await using host = await testHost();
  const untouched = await listing(host.directory);
  expect(untouched.map((line) => line.split(' ')[0])).toEqual(['.', 'config', 'config/config.yml']);
  const check = await setup(host.environment, '--check');
  expect(check.exitCode).toBe(1);
  expect(check.stdout).toContain(`missing or not private: ${host.paths.config}`);
  expect(await listing(host.directory)).toEqual(untouched);

  expect(await setup(host.environment)).toMatchObject({ exitCode: 0 });
  const made = await listing(host.directory);
  for (const name of ['config', 'config/projects', 'state', 'state/gate', 'run', 'run/tasks'])
    expect(made.join('\n')).toMatch(new RegExp(`^${name} 40700 `, 'm'));
  expect(await setup(host.environment)).toMatchObject({ exitCode: 0 });
  expect(await listing(host.directory)).toEqual(made);
  expect(await setup(host.environment, '--check')).toMatchObject({ exitCode: 0 });
  expect(await listing(host.directory)).toEqual(made);
});
