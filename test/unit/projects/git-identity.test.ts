import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HostCommandRunner } from '../../../src/runtime/core/exec.ts';
import { ProjectId } from '../../../src/runtime/core/ids.ts';
import { type Project, ProjectFile } from '../../../src/runtime/projects/contract.ts';
import { GitIdentity } from '../../../src/runtime/projects/git-identity.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp('/tmp/th-');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const identity = (PATH = process.env['PATH'] ?? '') =>
  new GitIdentity({ runner: new HostCommandRunner({ baseEnv: { PATH, HOME: home } }) });

const project = (git: { human_name?: string; human_email?: string } = {}): Project => ({
  id: ProjectId.parse('demo'),
  file: '/p/project.yml',
  directory: '/p',
  isRepository: false,
  settings: ProjectFile.parse({ git: { upstream_url: '/srv/x', ...git } }),
});

const ADA = '[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n';

it.each([
  ['nobody says', '', {}, undefined],
  ['git says', ADA, {}, { name: 'Ada Lovelace', email: 'ada@example.org' }],
  ['the project says', ADA, { human_name: 'G', human_email: 'g@x' }, { name: 'G', email: 'g@x' }],
  ['each says a half', ADA, { human_email: 'g@x' }, { name: 'Ada Lovelace', email: 'g@x' }],
  ['half is said', '', { human_name: 'G' }, { name: 'G', email: 'nobody@localhost' }],
  ['git says half', '[user]\n\temail = a@x\n', {}, { name: 'Nobody', email: 'a@x' }],
  [
    'git says what breaks a commit',
    '[user]\n\tname = "A <x>\\nB"\n\temail = "<>"\n',
    {},
    { name: 'A xB', email: 'nobody@localhost' },
  ],
  ['git is broken', '[user\nname', {}, undefined],
  ['names in any script', '[user]\n\tname = Ада 💥\n\temail = a@x\n', {}, { name: 'Ада 💥', email: 'a@x' }],
])('the person in commits, where %s', async (_what, config, own, person) => {
  await writeFile(path.join(home, '.gitconfig'), config);
  expect(await identity().of(project(own))).toEqual(person);
});

it('may be in a file that the configuration includes', async () => {
  await mkdir(path.join(home, 'd'));
  await writeFile(path.join(home, '.gitconfig'), '[include]\n\tpath = d/more\n');
  await writeFile(path.join(home, 'd/more'), ADA);
  expect(await identity().of(project())).toEqual({ name: 'Ada Lovelace', email: 'ada@example.org' });
});

it('is unknown where there is no git', async () => {
  expect(await identity(home).of(project())).toBeUndefined();
});
