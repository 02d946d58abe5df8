import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { parseAgent, readRoster } from '../../../src/runtime/agents/roster.ts';
import { bundledPrograms } from '../../../src/runtime/images/dockerfile.ts';

const bundled = path.resolve(import.meta.dirname, '../../../resources/agents');

const text = (name: string, title = 'Title'): string => `name: ${name}
title: ${title}
description: Does things.
install:
  bundled: [terok-scripted]
headless:
  command: [run-it, --now]
  prompt: stdin
`;

describe('an agent file that is wrong', () => {
  it.each([
    ['an unknown key', `${text('a')}colour: red\n`, '/x/a.yaml:9: unknown key colour'],
    [
      'an unknown key further in',
      text('a').replace('  prompt', '  shell: yes\n  prompt'),
      '/x/a.yaml:8: headless: unknown key shell',
    ],
    [
      'a value of the wrong kind',
      text('a').replace('[run-it, --now]', 'run-it'),
      '/x/a.yaml:7: headless.command: ',
    ],
    [
      'a wrong element of a list',
      text('a').replace('terok-scripted', '"../evil"'),
      '/x/a.yaml:5: install.bundled.0: ',
    ],
    ['a missing key', text('a').replace(/^title.*\n/m, ''), '/x/a.yaml:1: title: '],
    ['a key twice', `${text('a')}name: a\n`, '/x/a.yaml:9: Map keys must be unique'],
    ['broken syntax', `${text('a')}more: [1, 2\n`, '/x/a.yaml:'],
    ['a list in place of it all', '- a\n', '/x/a.yaml:1: '],
    ['nothing', '', '/x/a.yaml:1: '],
    ['a name other than the file says', text('b'), '/x/a.yaml:1: name: is "b"'],
  ])('with %s is refused with file, line and key', (_, content, message) => {
    expect(() => parseAgent({ file: '/x/a.yaml', text: content })).toThrow(message);
  });

  it('cannot blow up by aliases', () => {
    const bomb =
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n';
    expect(() => parseAgent({ file: '/x/a.yaml', text: bomb })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT' }),
    );
  });
});

it("lets a person's own file replace a bundled agent, whole", () => {
  const roster = readRoster({
    bundled: [
      { file: '/r/zeta.yaml', text: text('zeta') },
      { file: '/r/alpha.yaml', text: text('alpha') },
    ],
    own: [{ file: '/o/zeta.yaml', text: text('zeta', 'Mine') }],
  });
  expect([...roster.agents].map(([name, agent]) => [name, agent.title])).toEqual([
    ['alpha', 'Title'],
    ['zeta', 'Mine'],
  ]);
});

describe('the roster on disk', () => {
  const names = async (agents: AgentLoader) => (await agents.list()).agents.map(({ name }) => name);
  let own: string;
  beforeEach(() => {
    own = mkdtempSync(path.join(os.tmpdir(), 'agents-'));
  });
  afterEach(() => rmSync(own, { recursive: true, force: true }));

  it('holds the scripted agent, and needs no directory of own files', async () => {
    const agent = await new AgentLoader({ bundled, own: '/nonexistent' }).get('scripted');
    expect(agent).toMatchObject({ headless: { command: ['terok-scripted'], prompt: 'stdin' } });
  });

  it('sees an edit at once and ignores files of other kinds', async () => {
    const agents = new AgentLoader({ bundled, own });
    expect(await names(agents)).toEqual(['scripted']);
    writeFileSync(path.join(own, 'mine.yaml'), text('mine'));
    writeFileSync(path.join(own, 'mine.yaml.bak'), 'nonsense: [');
    expect(await names(agents)).toEqual(['mine', 'scripted']);
  });

  it('has a broken file fail for its own agent only, and names it in the list', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'mine.yaml'), text('mine'));
    writeFileSync(path.join(own, 'bad.yaml'), `${text('bad')}colour: red\n`);
    mkdirSync(path.join(own, 'directory.yaml'));
    execFileSync('mkfifo', [path.join(own, 'pipe.yaml')]);
    expect((await agents.get('mine')).name).toBe('mine');
    expect((await agents.get('scripted')).name).toBe('scripted');
    await expect(agents.get('bad')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `${own}/bad.yaml:9: unknown key colour`,
    });
    const { broken } = await agents.list();
    expect(await names(agents)).toEqual(['mine', 'scripted']);
    expect(broken.map(({ name, problem }) => [name, problem.replace(`${own}/`, '')])).toEqual([
      ['bad', 'bad.yaml:9: unknown key colour'],
      ['directory', 'directory.yaml:1: is not a regular file'],
      ['pipe', 'pipe.yaml:1: is not a regular file'],
    ]);
  });

  it('does not fall back to a bundled agent whose replacement is broken, yet keeps its programs in the image', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'scripted.yaml'), 'name: [');
    await expect(agents.get('scripted')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(bundledPrograms((await agents.list()).agents)).toEqual(['terok-scripted']);
  });

  it('is refused whole when a bundled file is broken', async () => {
    writeFileSync(path.join(own, 'bad.yaml'), 'name: [');
    const agents = new AgentLoader({ bundled: own, own: '/nonexistent' });
    await expect(agents.list()).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(agents.get('scripted')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('suggests the nearest name, or lists all', async () => {
    const agents = new AgentLoader({ bundled, own });
    await expect(agents.get('scriptd')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean scripted?',
    });
    await expect(agents.get('\u001b[31mzzzz')).rejects.toMatchObject({
      message: 'There is no agent named "zzzz"',
      hint: 'Known agents: scripted.',
    });
  });
});
