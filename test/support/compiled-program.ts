import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import typescript from 'typescript';

const repository = path.resolve(import.meta.dirname, '../..');
const output = path.join(repository, 'node_modules/.cache/terok-mcp-tests');

/**
 * Makes plain JavaScript of the sources and test helpers, for tests that start the program as a process of its
 * own. Types are not looked at; files that have not changed are kept. Returns where `test/support` went.
 */
export async function compileProgram(): Promise<string> {
  await mkdir(output, { recursive: true });
  await cp(path.join(repository, 'package.json'), path.join(output, 'package.json'));
  await Promise.all(['src', 'test/support'].map(compileTree));
  return path.join(output, 'test/support');
}

async function compileTree(folder: string): Promise<void> {
  const entries = await readdir(path.join(repository, folder), { recursive: true, withFileTypes: true });
  await Promise.all(
    entries
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map(async (entry) => await compileFile(path.join(entry.parentPath, entry.name))),
  );
}

async function compileFile(source: string): Promise<void> {
  const target = path.join(output, path.relative(repository, source).replace(/\.ts$/, '.js'));
  const [from, to] = await Promise.all([stat(source), stat(target).catch(() => undefined)]);
  if (to !== undefined && to.mtimeMs > from.mtimeMs) return;
  const { outputText } = typescript.transpileModule(await readFile(source, 'utf8'), {
    fileName: source,
    compilerOptions: {
      module: typescript.ModuleKind.ESNext,
      target: typescript.ScriptTarget.ES2023,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, outputText);
}
