import { readFileSync } from 'node:fs';
import type { Command, CommandRunner, RunOptions } from '../../src/runtime/core/command.ts';
import { CommandError } from '../../src/runtime/core/errors.ts';

/** What Podman knows of images, in memory: enough to see what a builder asks of it, and in which order. */
export class SimulatedPodman implements CommandRunner {
  readonly images = new Map<string, Record<string, string>>();
  /** Verb and what it is about, in order. */
  readonly ran: string[] = [];
  /** Builds under way now, and the most at once, by tag. */
  readonly building = new Map<string, number>();
  readonly mostAtOnce = new Map<string, number>();
  failOn: string | undefined;
  #ids = 0;
  #byId = new Map<string, Record<string, string>>();

  async run<T>(command: Command<T>, options: RunOptions = {}): Promise<T> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (command.file !== 'podman') {
      this.ran.push(command.file);
      return command.parse({ stdout: '', stderr: '', exitCode: command.file === 'getent' ? 2 : 0 });
    }
    const args = command.args.filter(
      (argument) => !/^--(?:root|runroot|tmpdir|storage-driver)=/.test(argument),
    );
    const [verb = ''] = args;
    switch (verb) {
      case 'image':
        return this.#answer(command, 'look', this.#inspect(args.slice(args.indexOf('--') + 1)));
      case 'build':
        return command.parse({ stdout: `${await this.#build(args, options)}\n`, stderr: '', exitCode: 0 });
      case 'run':
        return this.#answer(command, 'run', { stdout: this.#probe(args) });
      default:
        throw new Error(`podman ${verb} is not simulated`);
    }
  }

  stream(): never {
    throw new Error('not here');
  }

  detach(): never {
    throw new Error('not here');
  }

  builds(): readonly string[] {
    return this.ran.filter((line) => line.startsWith('build '));
  }

  #answer<T>(
    command: Command<T>,
    said: string,
    output: { readonly stdout: string; readonly exitCode?: number },
  ): T {
    this.ran.push(said);
    return command.parse({ stderr: 'Error: image not known', exitCode: 0, ...output });
  }

  #inspect(names: readonly string[]) {
    const found = names.flatMap((name) => {
      const Labels = this.images.get(name);
      return Labels === undefined ? [] : [{ Id: name, RepoTags: [name], RepoDigests: [], Labels }];
    });
    return { stdout: JSON.stringify(found), exitCode: found.length === names.length ? 0 : 125 };
  }

  /** Every agent that is asked about says it is version 1.0. */
  #probe(args: readonly string[]): string {
    const words = args.slice(args.indexOf('take-inventory') + 1);
    const lines: string[] = [];
    for (let at = 0; at < words.length; at += 2 + Number(words[at + 1]))
      lines.push(`${words[at]} 0 ${Buffer.from('1.0').toString('base64')}`);
    return lines.join('\n');
  }

  async #build(args: readonly string[], { signal }: RunOptions): Promise<string> {
    const value = (flag: string) =>
      args.find((argument) => argument.startsWith(`--${flag}=`))?.slice(flag.length + 3);
    const dockerfile = readFileSync(value('file') ?? '', 'utf8');
    const from = /^FROM (\S+)$/m.exec(dockerfile)?.[1] ?? '';
    const tag = value('tag');
    const what = tag ?? 'unnamed';
    const isRefreshed = args.some((argument) => /^--build-arg=[A-Z]+_CACHE_BUST=(?!0$)/.test(argument));
    this.ran.push(
      `build ${what}${args.includes('--no-cache') ? ' without cache' : ''}${isRefreshed ? ' refreshed' : ''}`,
    );
    const now = (this.building.get(what) ?? 0) + 1;
    this.building.set(what, now);
    this.mostAtOnce.set(what, Math.max(now, this.mostAtOnce.get(what) ?? 0));
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.building.set(what, now - 1);
    signal?.throwIfAborted();
    if (this.failOn !== undefined && dockerfile.includes(this.failOn))
      throw new CommandError('"podman build" failed (exit code 1)', {
        details: `the last lines: ${this.failOn}`,
      });
    this.#ids += 1;
    const id = String(this.#ids).padStart(64, '0');
    const labels = { ...(this.#byId.get(from) ?? this.images.get(from)), ...labelsIn(dockerfile) };
    this.#byId.set(id, labels);
    if (tag !== undefined) this.images.set(tag, labels);
    return id;
  }
}

function labelsIn(dockerfile: string): Record<string, string> {
  const line = /^LABEL (.*)$/m.exec(dockerfile)?.[1] ?? '';
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"="((?:[^"\\]|\\.)*)"/g)];
  return Object.fromEntries(words.map(([, key = '', value = '']) => [key, value.replace(/\\(.)/g, '$1')]));
}
