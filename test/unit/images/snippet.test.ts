import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinSnippet } from '../../../src/runtime/images/snippet.ts';
import { loadSnippet } from '../../../src/runtime/images/snippet-loader.ts';
import { imageRequest } from '../../support/images.ts';

const join = (text: string) => joinSnippet([{ origin: 'the file', text }]);

describe("a project's own Dockerfile lines", () => {
  it('are none when there is nothing in them', () => {
    expect(joinSnippet([])).toBeUndefined();
    expect(join(' \n\r\n')).toBeUndefined();
  });

  it('keep their words, with line ends that every builder takes', () => {
    expect(join('RUN a \\\r\n  && b\r\n')).toBe('RUN a \\\n  && b');
    expect(join('RUN echo FROM here\n# FROM in a comment\nRUN x \\\n  from y')).toContain('FROM here');
  });

  it.each(['FROM debian', 'RUN a\n  from x AS y', 'ONBUILD FROM x', 'RUN a \\\n# c\n\n b\nFROM x'])(
    'may not begin another image: %j',
    (text) => {
      const line = text.split('\n').findIndex((each) => /^\s*(?:from|onbuild)/i.test(each)) + 1;
      expect(() => join(text)).toThrow(`the file, line ${line}: FROM has no place in a snippet`);
    },
  );

  // Each makes Podman begin another image.
  it.each([
    ['FROM \\\n x', 1],
    ['RUN a\nFR\\\nOM x', 2],
    ['\u0085FROM x', 1],
    ['from\\\n\n# c\n x', 1],
    ['ONBUILD \\\n FROM x', 1],
    // A builder of today: what ends in two backslashes has ended.
    ['RUN echo \\\\\nFROM x', 2],
  ])('may not hide a FROM either: %j', (text, line) => {
    expect(() => join(text)).toThrow(`the file, line ${line}: FROM has no place in a snippet`);
  });

  it('may say FROM inside an instruction', () => {
    for (const text of ['RUN a \\\n  FROM x', 'RUN a \\\n# c\nFROM', 'LABEL a=FROM', 'COPY --from=x /a /b'])
      expect(join(text)).toBe(text);
  });

  it('may not swallow the lines of ours that follow', () => {
    expect(() => join('RUN a\nRUN b \\\n\n# end')).toThrow(
      'the file, line 2: the last instruction does not end',
    );
  });
});

describe('the snippet file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'snippet-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const load = (docker: Parameters<typeof imageRequest>[0]) =>
    loadSnippet(imageRequest(docker, { id: 'demo', directory }));

  it('comes first and the inline lines after it', async () => {
    writeFileSync(path.join(directory, 'extra.Dockerfile'), 'RUN one\n');
    const docker = { user_snippet_file: 'extra.Dockerfile', user_snippet_inline: 'RUN two' };
    expect(await load(docker)).toBe('RUN one\n\nRUN two');
    expect(await load({ user_snippet_inline: 'RUN two' })).toBe('RUN two');
    expect(await load({})).toBeUndefined();
  });

  it('that is absent, a pipe, a directory or too large is named', async () => {
    execFileSync('mkfifo', [path.join(directory, 'pipe')]);
    writeFileSync(path.join(directory, 'large'), 'x'.repeat(256 * 1024 + 1));
    for (const [name, problem] of [
      ['absent', 'does not exist'],
      ['pipe', 'is not a regular file'],
      ['.', 'is not a regular file'],
      ['large', 'is larger than 256 KB'],
    ] as const) {
      await expect(load({ user_snippet_file: name })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: `The snippet file ${path.resolve(directory, name)} ${problem}`,
      });
    }
  });

  it('with a FROM is named with the line', async () => {
    writeFileSync(path.join(directory, 'x'), 'RUN a\nFROM b\n');
    await expect(load({ user_snippet_file: 'x' })).rejects.toMatchObject({
      message: `${directory}/x, line 2: FROM has no place in a snippet`,
    });
  });
});
