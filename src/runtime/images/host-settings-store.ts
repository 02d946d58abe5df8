import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command, CommandRunner } from '../core/command.ts';
import { RuntimeError } from '../core/errors.ts';
import { proxyOptions } from './apt-sources.ts';
import { dumpAptConfig } from './base-recipe.ts';
import {
  type HostSettings,
  npmSettings,
  pipSettings,
  settingsFiles,
  settingsVariables,
} from './host-settings.ts';
import { makeScratch, sweepScratch } from './scratch-store.ts';

/** Where distributions keep the bundle of what they trust. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
const MAX_BYTES = 8 * 1024 * 1024;

export interface MountedSettings extends AsyncDisposable {
  readonly directory: string;
  /** Variables that name the files where they are mounted. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface HostSettingsDeps {
  readonly runner: CommandRunner;
  /** The person's own environment: NPM_CONFIG_*, PIP_*, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, proxies. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly cache: string;
}

/**
 * The host's npm, pip and apt configuration and its certificates, for the time of one build. INVARIANT: what is
 * secret in it lies in a directory that only its owner can enter, and is gone when the build has ended.
 */
export class HostSettingsStore {
  readonly #deps: HostSettingsDeps;

  constructor(deps: HostSettingsDeps) {
    this.#deps = deps;
  }

  /** Environment for programs of the host that fetch packages: what the person set for them, on top of our own. */
  packageEnvironment(): Readonly<Record<string, string>> {
    const { env } = this.#deps;
    const names = Object.keys(env).filter((name) => /^(?:npm_config_|NODE_EXTRA_CA_CERTS$)/i.test(name));
    return Object.fromEntries(names.map((name) => [name, env[name] ?? '']));
  }

  /** @param options.withNpm Asks npm as well, which takes half a second. */
  async mount(options: { readonly withNpm: boolean }, signal?: AbortSignal): Promise<MountedSettings> {
    const { cache } = this.#deps;
    await sweepScratch(cache);
    const settings = await this.#collect(options.withNpm, signal);
    // Only the owner enters; the directory below is what root of the build sees as open to its own users.
    const scratch = await makeScratch(cache, 'settings');
    try {
      const directory = path.join(scratch.directory, 'mounted');
      await mkdir(directory);
      await chmod(directory, 0o755);
      for (const file of settingsFiles(settings)) {
        const name = path.join(directory, file.name);
        await writeFile(name, file.content, { mode: 0o600 });
        if (file.isPublic) await chmod(name, 0o644);
      }
      const remove = () => scratch[Symbol.asyncDispose]();
      return { directory, variables: settingsVariables(settings), [Symbol.asyncDispose]: remove };
    } catch (error) {
      await scratch[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #collect(withNpm: boolean, signal: AbortSignal | undefined): Promise<HostSettings> {
    const { env, home } = this.#deps;
    const [npm, aptDump] = await Promise.all([
      withNpm ? this.#ask(askNpm(this.packageEnvironment()), signal) : undefined,
      this.#ask(dumpAptConfig, signal),
    ]);
    const userFile = npm?.get('userconfig') ?? path.join(home, '.npmrc');
    const npmTexts = await readAll([npm?.get('globalconfig'), userFile]);
    const pipFiles = [
      '/etc/pip.conf',
      path.join(home, '.pip/pip.conf'),
      path.join(env['XDG_CONFIG_HOME'] || path.join(home, '.config'), 'pip/pip.conf'),
      env['PIP_CONFIG_FILE'],
    ];
    const fromNpm = npmSettings(npmTexts, env);
    const fromPip = pipSettings(await readAll(pipFiles), env);
    const registry = npm?.get('registry');
    const [bundle] = await readAll([env['SSL_CERT_FILE'] || undefined, ...BUNDLES]);
    const extra = await readAll([
      ...new Set([env['NODE_EXTRA_CA_CERTS'], ...fromNpm.certificateFiles, ...fromPip.certificateFiles]),
    ]);
    const certificates = [...new Set([bundle ?? '', ...extra])]
      .map((text) => text.trim())
      .join('\n')
      .trim();
    return {
      certificates: certificates === '' ? '' : `${certificates}\n`,
      npmrc: [...fromNpm.lines, ...(registry === undefined ? [] : [`registry=${registry}`]), ''].join('\n'),
      pipConf: fromPip.text,
      aptOptions: proxyOptions(aptDump ?? ''),
      proxies: Object.fromEntries(
        PROXIES.flatMap((name) => (env[name] ? [[name, env[name] ?? ''] as const] : [])),
      ),
    };
  }

  /** A host without npm or apt has no settings of it: that is an answer. */
  async #ask<T>(command: Command<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
    return await this.#deps.runner.run(command, { signal }).catch((error: unknown) => {
      if (error instanceof RuntimeError && error.code !== 'CANCELLED') return undefined;
      throw error;
    });
  }
}

/** The effective registry, and where npm's own files are. */
const askNpm = (env: Readonly<Record<string, string>>): Command<ReadonlyMap<string, string>> => ({
  file: 'npm',
  args: ['config', 'get', 'registry', 'userconfig', 'globalconfig'],
  env,
  parse: ({ stdout }) =>
    new Map(
      stdout.split('\n').flatMap((line) => {
        const match = /^(registry|userconfig|globalconfig)=(.+)$/.exec(line.trim());
        return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const];
      }),
    ),
});

/** Texts of those files that can be read and are of a sensible size. */
async function readAll(files: readonly (string | undefined)[]): Promise<readonly string[]> {
  const texts = await Promise.all(
    files.map(async (file) => {
      if (file === undefined || file === '') return undefined;
      const info = await stat(file).catch(() => undefined);
      if (info?.isFile() !== true || info.size > MAX_BYTES) return undefined;
      return await readFile(file, 'utf8').catch(() => undefined);
    }),
  );
  return texts.filter((text) => text !== undefined);
}
