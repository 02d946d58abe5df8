import { expect, it } from 'vitest';
import { parseMarkdownAgent } from '../../../src/runtime/config/markdown-agent.ts';

it.each([
  [
    '---\nname: a\ntools: [Read, Grep]\n---\n\nBody\n',
    { name: 'a', tools: ['Read', 'Grep'], prompt: 'Body' },
  ],
  ['no front matter at all\n', { prompt: 'no front matter at all' }],
  ['', { prompt: '' }],
  ['---\nname: a\nnever ended\n', { prompt: '---\nname: a\nnever ended' }],
  ['---\n- a list\n---\nBody', { prompt: 'Body' }],
  ['---\njust text\n---\nBody', { prompt: 'Body' }],
  ['---\n---\nBody', { prompt: 'Body' }],
  ['---\n# a comment\n---\nBody', { prompt: 'Body' }],
  ['---\nname: a\n---', { name: 'a', prompt: '' }],
  ['---\r\nname: a\r\n---\r\nBody\r\n', { name: 'a', prompt: 'Body' }],
  ['---  \nname: a\n--- \nBody', { name: 'a', prompt: 'Body' }],
  ['---\nname: a\n---\nBody\n---\nafter a rule', { name: 'a', prompt: 'Body\n---\nafter a rule' }],
  ['---\ndescription: a---b\n---\nBody', { description: 'a---b', prompt: 'Body' }],
  ['---\nprompt: no\n---\nBody', { prompt: 'Body' }],
  ['\n---\nname: a\n---\nBody', { prompt: '---\nname: a\n---\nBody' }],
  ['---\nname: имя\n---\nтекст 💥', { name: 'имя', prompt: 'текст 💥' }],
])('a Markdown agent %j', (text, fields) => {
  expect(parseMarkdownAgent(text)).toEqual({ fields });
});

it('of a megabyte of dashes is read at once', () => {
  const start = performance.now();
  parseMarkdownAgent(`---\n${'---x\n'.repeat(200_000)}`);
  expect(performance.now() - start).toBeLessThan(2_000);
});
