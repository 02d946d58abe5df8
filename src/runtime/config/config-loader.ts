import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { deepMerge, INHERIT, isMapping } from '../core/deep-merge.ts';
import { InvalidInputError, NotFoundError } from '../core/errors.ts';
import { readPersonalFile } from '../core/files.ts';
import { didYouMean, quoted } from '../core/nearest.ts';
import { checkUnsetKeys, checkValue, locateProblems } from '../core/schema-problems.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import { documentError, parseYaml } from '../core/yaml-document.ts';
import { ConfigFile } from '../projects/contract.ts';
import type { RunSettings } from './contract.ts';
import {
  AgentLayer,
  type Config,
  type ConfigScope,
  type GlobalConfig,
  type ResolveInput,
} from './contract.ts';
import { resolveInstructions } from './instructions.ts';
import { mergeLayers } from './layers.ts';
import { agentFlag, agentNumber, agentText } from './per-agent.ts';
import { SubagentLoader } from './subagent-loader.ts';

const DEFAULT_TIMEOUT_S = 1800;

/** So that a key is unset alike whether or not `config.yml` has the section it stands in. */
const EMPTY_SECTIONS = { docker: {}, git: {}, run: {}, promotion: {} };

/** `config.yml` and `presets/*.yml`. Nothing is cached: an edit counts from the next call on. */
export class ConfigLoader implements Config {
  readonly #directory: string;
  readonly #bundledInstructions: string;
  readonly #subagents = new SubagentLoader();

  /** @param deps.directory where `config.yml` lies; `deps.bundledInstructions` a Markdown file. */
  constructor(deps: { readonly directory: string; readonly bundledInstructions: string }) {
    this.#directory = deps.directory;
    this.#bundledInstructions = deps.bundledInstructions;
  }

  async global(): Promise<GlobalConfig> {
    const file = path.join(this.#directory, 'config.yml');
    const value = await loadMapping(file, 'an empty one will do');
    const { raw, document } = value ?? { raw: {}, document: undefined };
    const sections = deepMerge(EMPTY_SECTIONS, withAbsoluteSnippet(raw, this.#directory));
    const checked = checkValue(ConfigFile, sections);
    const problems = [...checkUnsetKeys(ConfigFile, raw), ...(checked.problems ?? [])];
    if (checked.data === undefined || problems.length > 0) {
      throw documentError(file, document === undefined ? [] : locateProblems(document, problems));
    }
    return {
      file,
      sections,
      defaultAgent: checked.data.default_agent,
      agent: checked.data.agent,
    };
  }

  async preset(name: string): Promise<ConfigScope> {
    const known = await this.presets();
    // Only what the directory really has: a name cannot lead out of it.
    if (!known.includes(name)) {
      const otherwise =
        known.length > 0
          ? `Known presets: ${known
              .slice(0, 20)
              .map((preset) => cleanLine(preset, 64))
              .join(', ')}.`
          : `Presets are files like ${this.#presetFile('<name>')}.`;
      throw new NotFoundError(`No preset named ${quoted(name)}`, {
        hint: didYouMean(name, known, otherwise, quoted),
      });
    }
    const file = this.#presetFile(name);
    const loaded = await loadMapping(file, 'it holds what the "agent" section of a project may hold');
    if (loaded === undefined) throw new NotFoundError(`The preset "${cleanLine(name, 64)}" has just gone`);
    const checked = checkValue(AgentLayer, loaded.raw);
    if (checked.data === undefined) {
      throw documentError(file, locateProblems(loaded.document, checked.problems));
    }
    return { level: 'preset', source: file, directory: path.dirname(file), layer: checked.data };
  }

  async presets(): Promise<readonly string[]> {
    const directory = path.join(this.#directory, 'presets');
    const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw new InvalidInputError(`${directory} cannot be read (${error.code ?? 'unknown error'})`, {
        hint: 'It should be a directory of yours.',
        cause: error,
      });
    });
    return names
      .filter((name) => name.endsWith(PRESET_SUFFIX) && !name.startsWith('.'))
      .map((name) => name.slice(0, -PRESET_SUFFIX.length))
      .sort();
  }

  merge(scopes: readonly ConfigScope[]): Readonly<Record<string, unknown>> {
    return mergeLayers(scopes).merged;
  }

  async resolve(input: ResolveInput): Promise<RunSettings> {
    const { agent, scopes } = input;
    const { merged, origins } = mergeLayers(scopes);
    const [{ text, hasCustom }, subagents] = await Promise.all([
      this.#instructions(input, merged),
      this.#subagents.load(merged['subagents'], { origins, selected: input.selectedSubagents ?? [] }),
    ]);
    return {
      model: agentText('model', merged, agent),
      maxTurns: agentNumber('max_turns', merged, agent),
      timeoutS: agentNumber('timeout', merged, agent) ?? DEFAULT_TIMEOUT_S,
      instructions: text,
      hasCustomInstructions: hasCustom,
      isUnrestricted: agentFlag('unrestricted', merged, agent) ?? true,
      subagents,
    };
  }

  async #instructions(
    { agent, projectDirectory, instructions }: ResolveInput,
    merged: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly text: string; readonly hasCustom: boolean }> {
    if (instructions !== undefined) return { text: instructions, hasCustom: true };
    const bundled = await readPersonalFile(this.#bundledInstructions);
    if (bundled.text === undefined) {
      throw new InvalidInputError(`${this.#bundledInstructions}: ${bundled.problem}`, {
        hint: 'The installation of terok-mcp is broken: install it again.',
      });
    }
    return resolveInstructions({
      value: merged['instructions'],
      agent,
      bundled: bundled.text.trim(),
      projectFile: await this.#projectInstructions(projectDirectory),
    });
  }

  /** Text of `instructions.md`; undefined where there is none. One that cannot be read is never passed over. */
  async #projectInstructions(directory: string | undefined): Promise<string | undefined> {
    if (directory === undefined) return undefined;
    const file = path.join(directory, 'instructions.md');
    const { text, isAbsent, problem } = await readPersonalFile(file);
    if (text !== undefined || isAbsent) return text;
    throw new InvalidInputError(`${file}: ${problem}`, {
      hint: `Make it a readable text file, or remove it.`,
    });
  }

  #presetFile(name: string): string {
    return path.join(this.#directory, 'presets', `${name}${PRESET_SUFFIX}`);
  }
}

const PRESET_SUFFIX = '.yml';

/** The mapping a file holds; undefined where there is no file. */
async function loadMapping(file: string, hint: string) {
  const { text, isAbsent, problem } = await readPersonalFile(file);
  if (isAbsent) return undefined;
  if (text === undefined) {
    throw new InvalidInputError(`${file}: ${problem}`, { hint: `Make it a readable text file; ${hint}.` });
  }
  const { document, problems } = parseYaml(text);
  if (document === undefined) throw documentError(file, problems);
  const raw = document.value ?? {};
  if (isMapping(raw)) return { raw, document };
  throw documentError(file, [{ line: document.lineOf([]), key: '', problem: 'must be a mapping' }]);
}

/** A project that inherits it has another directory. */
function withAbsoluteSnippet(
  raw: Readonly<Record<string, unknown>>,
  directory: string,
): Readonly<Record<string, unknown>> {
  const { docker } = raw;
  if (!isMapping(docker)) return raw;
  const file = docker['user_snippet_file'];
  if (typeof file !== 'string' || file === '' || file === INHERIT) return raw;
  return { ...raw, docker: { ...docker, user_snippet_file: path.resolve(directory, file) } };
}
