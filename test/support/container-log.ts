import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll } from 'vitest';

const time = '2026-01-02T03:04:05.678901234+00:00';

/** An entry of Podman's k8s-file log. */
export const entry = (text: string, kind: 'F' | 'P' = 'F', stream: 'stdout' | 'stderr' = 'stdout'): string =>
  `${time} ${stream} ${kind} ${text}\n`;

const directory = mkdtempSync('/tmp/tk-log-');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A log of that content, gone when the test file is done. */
export function logFile(name: string, content: string | Uint8Array): string {
  const file = path.join(directory, name);
  writeFileSync(file, content);
  return file;
}
