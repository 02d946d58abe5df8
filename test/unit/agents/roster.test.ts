import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { parseAgent, readRoster } from '../../../src/runtime/agents/roster.ts';

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
  expect([...roster].map(([name, agent]) => [name, agent.title])).toEqual([
    ['alpha', 'Title'],
    ['zeta', 'Mine'],
  ]);
});

describe('the roster on disk', () => {
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
    expect((await agents.list()).map(({ name }) => name)).toEqual(['scripted']);
    writeFileSync(path.join(own, 'mine.yaml'), text('mine'));
    writeFileSync(path.join(own, 'mine.yaml.bak'), 'nonsense: [');
    expect((await agents.list()).map(({ name }) => name)).toEqual(['mine', 'scripted']);
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
