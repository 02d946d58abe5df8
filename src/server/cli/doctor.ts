import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs } from './command.ts';
import { printFindings } from './setup.ts';

export const doctor: Command = {
  usage: 'doctor [--json]',
  summary: 'Say what works on this host and what does not.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { json: { type: 'boolean' } });
    const { findings } = await withDaemon(async (client) => await client.call(control.doctor, {}));
    if (values.json === true) output.json(findings);
    else printFindings(output, findings);
    return findings.some(({ level }) => level === 'fail') ? 1 : 0;
  },
};
