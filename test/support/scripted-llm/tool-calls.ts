import path from 'node:path';
import type { Api } from './conversation.ts';
import { isRecord, type Json, listOf, recordOf, recordsOf, textOf } from './json.ts';
import type { Step } from './script.ts';

/** A tool that an agent offers its model. */
export interface OfferedTool {
  readonly name: string;
  readonly namespace: string | undefined;
  /** Takes a program instead of JSON. */
  readonly isFreeform: boolean;
  readonly schema: Json;
}

export interface ToolCall {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly input: Json | string;
}

/** Names by which agents offer a shell, and one that writes files. */
const SHELLS = [
  'Bash',
  'bash',
  'exec_command',
  'shell_command',
  'shell',
  'run_shell_command',
  'execute_command',
  'exec',
];
const WRITERS = ['Write', 'write', 'create', 'write_file', 'create_file'];

export function offeredTools(api: Api, body: Json): readonly OfferedTool[] {
  const tools = recordsOf(body['tools']).flatMap((tool) => unfold(tool, undefined));
  if (api !== 'responses') return tools;
  // Codex sends those of its own models as an item of the conversation.
  const more = recordsOf(body['input']).filter(({ type }) => type === 'additional_tools');
  return [
    ...tools,
    ...more.flatMap((item) => recordsOf(item['tools']).flatMap((tool) => unfold(tool, undefined))),
  ];
}

function unfold(tool: Json, namespace: string | undefined): readonly OfferedTool[] {
  if (Array.isArray(tool['tools']))
    return recordsOf(tool['tools']).flatMap((inner) => unfold(inner, textOf(tool['name'])));
  const about = isRecord(tool['function']) ? tool['function'] : tool;
  const name = textOf(about['name']) ?? textOf(tool['type']);
  if (name === undefined) return [];
  return [
    {
      name,
      namespace,
      isFreeform: tool['type'] === 'custom' || isRecord(about['format']),
      schema: recordOf(about['input_schema'] ?? about['parameters']),
    },
  ];
}

/** The call that does a step with the tools there are; undefined when it calls nothing. Throws where none can. */
export function callFor(step: Step, tools: readonly OfferedTool[]): ToolCall | undefined {
  if ('write' in step) {
    const { path: file, content } = step.write;
    const tool = find(tools, WRITERS);
    if (tool === undefined) return callFor({ run: shellWrite(file, content) }, tools);
    const known = {
      file_path: file,
      filePath: file,
      path: file,
      content,
      file_text: content,
      contents: content,
    };
    return { name: tool.name, namespace: tool.namespace, input: fillIn(tool.schema, known) };
  }
  if (!('run' in step)) return undefined;
  const tool = find(tools, SHELLS);
  if (tool === undefined) throw new Error(`no shell among ${tools.map(({ name }) => name).join(', ')}`);
  const { name, namespace } = tool;
  if (tool.isFreeform) {
    const program = `text(JSON.stringify(await tools.exec_command({ cmd: ${JSON.stringify(step.run)} })));`;
    return { name, namespace, input: program };
  }
  const isList = recordOf(recordOf(tool.schema['properties'])['command'])['type'] === 'array';
  const command = isList ? ['bash', '-lc', step.run] : step.run;
  return {
    name,
    namespace,
    input: fillIn(tool.schema, { command, cmd: step.run, description: 'A step of the script' }),
  };
}

const find = (tools: readonly OfferedTool[], names: readonly string[]): OfferedTool | undefined =>
  names.flatMap((name) => tools.filter((tool) => tool.name === name))[0];

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const shellWrite = (file: string, content: string): string =>
  `mkdir -p ${quote(path.posix.dirname(file))} && printf %s ${quote(content)} > ${quote(file)}`;

/** What is known of a tool's arguments, and something fitting for the rest that it demands. */
function fillIn(schema: Json, known: Json): Json {
  const properties = recordOf(schema['properties']);
  const given = Object.entries(known).filter(([key]) => key in properties);
  const missing = listOf(schema['required']).flatMap((key) =>
    typeof key === 'string' && !given.some(([name]) => name === key)
      ? [[key, placeholder(recordOf(properties[key]))] as const]
      : [],
  );
  return Object.fromEntries([...given, ...missing]);
}

function placeholder(property: Json): unknown {
  const [choice] = listOf(property['enum']);
  if (property['default'] !== undefined || choice !== undefined) return property['default'] ?? choice;
  const type = Array.isArray(property['type']) ? listOf(property['type'])[0] : property['type'];
  switch (type) {
    case 'number':
    case 'integer':
      return 60;
    case 'boolean':
      return false;
    case 'array':
      return [];
    case 'object':
      return {};
    default:
      return 'scripted';
  }
}
