import { PassThrough } from 'node:stream';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldStdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { type Logger, silentLogger } from '../../src/runtime/core/log.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { FrameTransport } from '../../src/server/mcp/frame-transport.ts';
import { McpServer } from '../../src/server/mcp/mcp-server.ts';
import type { ProgressPace } from '../../src/server/mcp/progress-reporter.ts';

/** The ways real clients open a connection: the 2026 era, the 2025 era, and the former SDK. */
export const ERAS = ['auto', 'legacy', 'former-sdk'] as const;
export type Era = (typeof ERAS)[number];

export interface ToolResult {
  readonly text: string;
  readonly object: Record<string, unknown> | undefined;
  readonly isError: boolean;
}

/** A client as the tests need it, whatever stands behind it. */
export interface TestClient {
  readonly instructions: string | undefined;
  listTools(): Promise<ReadonlyArray<{ readonly name: string }>>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<ToolResult>;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: {
    readonly progress: number;
    readonly message?: string | undefined;
  }) => void;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Launches the front end as a desktop client would. */
export async function connectOverStdio(era: Era, { command, args, env }: Launch): Promise<TestClient> {
  const parameters = { command, args: [...args], env: { ...env }, stderr: 'inherit' as const };
  if (era === 'former-sdk') {
    const client = new OldClient({ name: 'test', version: '1' });
    await client.connect(new OldStdioClientTransport(parameters));
    return {
      instructions: client.getInstructions(),
      listTools: async () => (await client.listTools()).tools,
      call: async (name, args = {}, options = {}) =>
        toToolResult(await client.callTool({ name, arguments: args }, undefined, options)),
      close: async () => await client.close(),
    };
  }
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: era } });
  await client.connect(new StdioClientTransport(parameters));
  return toTestClient(client);
}

/** A client and the server in one process, over a pair of streams. */
export async function connectInMemory(
  era: 'auto' | 'legacy',
  deps: { readonly runtime: Runtime; readonly logger?: Logger; readonly progressPace?: ProgressPace },
): Promise<TestClient> {
  const toServer = new PassThrough();
  const toClient = new PassThrough();
  new McpServer({ logger: silentLogger, ...deps }).connect({ input: toServer, output: toClient });
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: era } });
  await client.connect(new FrameTransport({ streams: { input: toClient, output: toServer } }));
  return toTestClient(client);
}

function toTestClient(client: Client): TestClient {
  return {
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, options = {}) =>
      toToolResult(await client.callTool({ name, arguments: args }, options)),
    close: async () => await client.close(),
  };
}

function toToolResult(result: unknown): ToolResult {
  if (
    typeof result !== 'object' ||
    result === null ||
    !('content' in result) ||
    !Array.isArray(result.content)
  ) {
    throw new Error('not the result of a tool call');
  }
  const object = 'structuredContent' in result ? result.structuredContent : undefined;
  return {
    text: result.content.map((block: { readonly text?: string }) => block.text ?? '').join('\n'),
    object: isRecord(object) ? object : undefined,
    isError: 'isError' in result && result.isError === true,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
