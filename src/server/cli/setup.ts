import type { Finding } from '../../runtime/doctor/contract.ts';
import { type Command, parseCommandArgs } from './command.ts';
import type { Output } from './output.ts';

export const setup: Command = {
  usage: 'setup [--check] [--json]',
  summary: 'Install and prepare what the host lacks. --check changes nothing.',
  run: async (args, { host, services, paths, output }) => {
    const { values } = parseCommandArgs(args, { check: { type: 'boolean' }, json: { type: 'boolean' } });
    const steps = await services.createSetup(host, paths);
    const cancelled = new AbortController();
    host.onSignal(() => cancelled.abort());
    const findings = await steps.run(
      { check: values.check === true, progress: (message) => output.note(`· ${message}`) },
      cancelled.signal,
    );
    if (values.json === true) output.json(findings);
    else printFindings(output, findings);
    return findings.some(({ level }) => level === 'fail') ? 1 : 0;
  },
};

const MARK = { ok: '✓', warn: '!', fail: '✗' } as const;

export function printFindings(output: Output, findings: readonly Finding[]): void {
  for (const { check, level, message, fix } of findings) {
    output.line(`${MARK[level]} ${check}: ${message}`);
    if (fix !== undefined) output.line(`    ${fix}`);
  }
}
