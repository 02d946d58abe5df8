import { describe, expect, it } from 'vitest';
import { asNothing, type Command } from '../../../src/runtime/core/command.ts';
import { CommandError } from '../../../src/runtime/core/errors.ts';
import { PodmanRecovery } from '../../../src/runtime/engine/podman/podman-recovery.ts';

const LOST =
  'level=error msg="invalid internal status, try resetting the pause process with \\"podman system migrate\\": could not find any running process: no such process"';
const look: Command<string> = { file: 'podman', args: ['ps'], parse: () => 'seen' };
const migrate: Command<void> = { file: 'podman', args: ['system', 'migrate'], parse: asNothing };

/** A Podman that says this so many times. */
function podman(says: string, times: number) {
  const ran: string[] = [];
  let left = times;
  return {
    ran,
    run: async <T>(command: Command<T>): Promise<T> => {
      ran.push(command.args.join(' '));
      if (command.args[0] === 'ps' && left > 0) {
        left -= 1;
        throw new CommandError('podman failed', { details: says });
      }
      return command.parse({ stdout: '', stderr: '', exitCode: 0 });
    },
  };
}

describe('a Podman whose user namespace was killed', () => {
  it('begins anew, once for all who ask, and answers', async () => {
    const runner = podman(LOST, 2);
    const recovery = new PodmanRecovery({ runner, migrate });
    expect(await Promise.all([recovery.run(look), recovery.run(look)])).toEqual(['seen', 'seen']);
    expect(runner.ran.filter((line) => line === 'system migrate')).toHaveLength(1);
  });

  it('is not asked for ever', async () => {
    const runner = podman(LOST, 9);
    await expect(new PodmanRecovery({ runner, migrate }).run(look)).rejects.toMatchObject({ details: LOST });
    expect(runner.ran).toEqual(['ps', 'system migrate', 'ps']);
  });

  it('is what no other failure is taken for', async () => {
    const runner = podman('no space left on device', 1);
    await expect(new PodmanRecovery({ runner, migrate }).run(look)).rejects.toThrow();
    expect(runner.ran).toEqual(['ps']);
  });
});
