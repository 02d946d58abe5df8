import { isMapping } from '../core/deep-merge.ts';
import { type DocumentProblem, parseYaml } from '../core/yaml-document.ts';

type Fields = Readonly<Record<string, unknown>>;

export type MarkdownAgent =
  | { readonly fields: Fields; readonly problems?: undefined }
  | { readonly fields?: undefined; readonly problems: readonly DocumentProblem[] };

/** The first line and the next that are `---` and nothing else. */
const FRONT_MATTER = /^---[ \t]*\r?\n(?:([\s\S]*?)\r?\n)??---[ \t]*(?:\r?\n|$)/;

/**
 * A sub-agent as a Markdown file: YAML front matter between two lines `---`, then the prompt. Without front
 * matter, or with one that does not end, all of it is the prompt; front matter that is no mapping says nothing.
 * `fields` is the front matter with the text as its `prompt`. Front matter that is not YAML is a problem.
 */
export function parseMarkdownAgent(text: string): MarkdownAgent {
  const match = FRONT_MATTER.exec(text);
  if (match === null) return { fields: { prompt: text.trim() } };
  const prompt = text.slice(match[0].length).trim();
  const { document, problems } = parseYaml(match[1] ?? '', { firstLine: 2 });
  if (document === undefined) return { problems };
  return { fields: { ...(isMapping(document.value) ? document.value : {}), prompt } };
}
