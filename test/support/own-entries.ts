import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import type { TestHost } from './host.ts';

/** A shell program of a test that an entry of the roster installs. */
const program = (name: string, text: string): string =>
  `cat > /usr/local/bin/${name} <<'END_OF_PROGRAM'\n${text}\nEND_OF_PROGRAM\nchmod 0755 /usr/local/bin/${name}\n`;

/** Listens on what it is told and on another port; each connection is answered by a program of its own. */
const LISTENER = `#!/bin/bash
export PUBLIC_URL=$2
socat TCP-LISTEN:9090,fork,reuseaddr SYSTEM:'echo other port' &
exec socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr" EXEC:/usr/local/bin/stand-in-answer`;

const ANSWER = `#!/bin/bash
IFS=' ' read -r method target _
headers=
while IFS= read -r line && line=\${line%$'\\r'} && [ -n "$line" ]; do
  headers+="$line"$'\\n'
  case \${line,,} in sec-websocket-key:*) key=\${line#*: } ;; esac
done
if [ -n "\${key:-}" ]; then
  accept=$(printf %s "\${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11" | openssl sha1 -binary | base64)
  printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: %s\\r\\n\\r\\n' "$accept"
  exec cat
fi
case $target in
  /count) date +%s%N >> /workspace/count; body=$(wc -l < /workspace/count) ;;
  *) body="link: \${PUBLIC_URL}page
$method $target
$headers" ;;
esac
printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' "\${#body}" "$body"`;

/** Says what it was given: arguments by their digest, the key by its digest and never itself. */
const SUMS = `#!/bin/bash
[ "\${1:-}" != --version ] || { echo 1; exit; }
printf 'key %s\\n' "$(printf %s "$SUMS_KEY" | sha256sum | cut -d' ' -f1)"
printf 'count %s\\n' "$#"
for argument in "$@"; do printf 'argument %s\\n' "$(printf %s "$argument" | base64 -w0)"; done
printf 'input %s\\n' "$(wc -c)"
printf 'agent %s\\n' "$(command -v terok-scripted || echo none)"
case "\${1:-}" in
  linger) sleep 120 ;;
  fail) exit 7 ;;
esac`;

const entry = (kind: 'tool' | 'web', name: string, rest: object): string =>
  stringify({ kind, name, title: `Test ${name}`, description: 'A program of the tests.', ...rest });

const ENTRIES = {
  'stand-in': entry('web', 'stand-in', {
    binary: 'stand-in',
    install: { shell: program('stand-in', LISTENER) + program('stand-in-answer', ANSWER) },
    command: ['stand-in', '{port}', '{public_url}'],
  }),
  sums: entry('tool', 'sums', {
    binary: 'sums',
    install: { shell: program('sums', SUMS) },
    auth: { modes: ['api_key'] },
    sidecar: { env: { SUMS_KEY: 'key' } },
  }),
} as const;

/** Puts entries of a person's own into the configuration of a test, and has the images hold them. */
export async function addEntries(
  { paths }: Pick<TestHost, 'paths'>,
  ...names: readonly (keyof typeof ENTRIES)[]
): Promise<void> {
  const directory = path.join(paths.config, 'agents');
  await mkdir(directory, { recursive: true });
  for (const name of names) await writeFile(path.join(directory, `${name}.yaml`), ENTRIES[name]);
  await writeFile(
    path.join(paths.config, 'config.yml'),
    stringify({ default_agent: 'scripted', docker: { agents: ['scripted', ...names] } }),
  );
}
