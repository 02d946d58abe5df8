import type { Clock } from '../../core/clock.ts';
import { RuntimeError } from '../../core/errors.ts';
import type { SshKeyInfo } from '../contract.ts';
import type { CredentialStore } from '../parts.ts';
import {
  type AgentRequest,
  failure,
  identitiesAnswer,
  parseRequest,
  type SessionBind,
  signResponse,
  success,
} from './agent-messages.ts';
import type { AgentAct, AgentOutcome, AgentOwner, AgentRecorder } from './agent-record.ts';
import { parseDestination } from './destination.ts';
import { fingerprintOf } from './fingerprint.ts';
import { isSignedByHost } from './host-key.ts';
import { type KnownHosts, parseKnownHosts } from './known-hosts.ts';
import { loadKnownHosts } from './known-hosts-store.ts';
import { Pace } from './pace.ts';
import { blobOfLine, signWithKey } from './private-key.ts';
import { type BoundSession, judgeSign } from './sign-policy.ts';
import { WireError } from './wire.ts';

/** As OpenSSH's own agent bounds it. */
const MAX_SESSIONS = 16;
const MINUTE_MS = 60_000;
const SIGNATURES_PER_MINUTE = 60;
/** Everything else costs little, but a record each. */
const REQUESTS_PER_MINUTE = 600;

export interface AgentAnswer {
  readonly message: Buffer;
  /** The connection is of no use any more. */
  readonly isLast: boolean;
}

/** What the agents of all connections of one task share. */
export class TaskAgent {
  readonly #task: AgentOwner;
  readonly #store: CredentialStore;
  readonly #recorder: AgentRecorder;
  readonly #onLocked: (task: AgentOwner) => void;
  readonly #clock: Clock;
  readonly #signatures: Pace;
  readonly #requests: Pace;
  readonly #floods: Pace;

  constructor(deps: {
    readonly task: AgentOwner;
    readonly store: CredentialStore;
    readonly recorder: AgentRecorder;
    readonly onLocked: (task: AgentOwner) => void;
    readonly clock: Clock;
  }) {
    this.#task = deps.task;
    this.#store = deps.store;
    this.#recorder = deps.recorder;
    this.#onLocked = deps.onLocked;
    this.#clock = deps.clock;
    const perMinute = (most: number): Pace => new Pace({ clock: deps.clock, most, stretchMs: MINUTE_MS });
    this.#signatures = perMinute(SIGNATURES_PER_MINUTE);
    this.#requests = perMinute(REQUESTS_PER_MINUTE);
    this.#floods = perMinute(1);
  }

  /** Where what is bound to one connection is kept. */
  connect(): ConnectionAgent {
    return new ConnectionAgent(this);
  }

  /** false: the task asks too much, which is told once a minute, and the connection is to end. */
  admits(): boolean {
    const isWithin = this.#requests.take();
    if (!isWithin && this.#floods.take()) this.note({ method: 'other', outcome: 'too-many' });
    return isWithin;
  }

  note(act: Omit<AgentAct, 'startedAt'>, startedAt: Date = this.#clock.now()): void {
    this.#recorder.record({ ...act, startedAt });
  }

  now(): Date {
    return this.#clock.now();
  }

  list(): Buffer {
    const startedAt = this.now();
    if (this.#isLocked()) {
      this.#onLocked(this.#task);
      this.note({ method: 'list', outcome: 'locked' }, startedAt);
      return identitiesAnswer([]);
    }
    const key = this.#key();
    this.note(
      { method: 'list', outcome: key === undefined ? 'no-key' : 'ok', fingerprint: key?.fingerprint },
      startedAt,
    );
    if (key === undefined) return identitiesAnswer([]);
    return identitiesAnswer([{ blob: blobOfLine(key.publicKey), comment: key.comment }]);
  }

  async sign(
    request: Extract<AgentRequest, { kind: 'sign' }>,
    sessions: readonly BoundSession[],
  ): Promise<Buffer> {
    const startedAt = this.now();
    const key = this.#key();
    const refuse = (outcome: AgentOutcome, target?: string): Buffer => {
      this.note({ method: 'sign', outcome, target, fingerprint: fingerprintOf(request.keyBlob) }, startedAt);
      return failure();
    };
    if (this.#isLocked()) {
      this.#onLocked(this.#task);
      return refuse('locked');
    }
    const knownHosts = await this.#knownHosts();
    if (knownHosts === undefined) return refuse('known-hosts');
    const { destinations, signatures } = this.#task.project.settings.ssh;
    const verdict = judgeSign(request, {
      key,
      sessions,
      destinations: destinations.map(parseDestination),
      mayMakeSignatures: signatures,
      knownHosts,
    });
    if (!verdict.isAllowed) return refuse(verdict.reason, verdict.target);
    if (!this.#signatures.take()) return refuse('too-many', verdict.target);
    const signature = this.#signature(verdict.algorithm, request.data);
    if (signature === undefined) return refuse(this.#isLocked() ? 'locked' : 'failed', verdict.target);
    this.note(
      { method: 'sign', outcome: 'ok', target: verdict.target, fingerprint: key?.fingerprint },
      startedAt,
    );
    return signResponse(signature);
  }

  #signature(algorithm: string, data: Uint8Array): Buffer | undefined {
    try {
      const privateKey = this.#store.openSshKey(this.#task.project.id);
      return privateKey === undefined ? undefined : signWithKey(privateKey, algorithm, data);
    } catch (error) {
      // A vault that was locked or a key that was removed this moment.
      if (error instanceof RuntimeError) return undefined;
      throw error;
    }
  }

  /** That of the task's own project, and no other's. Asked each time, so a new key or none counts at once. */
  #key(): SshKeyInfo | undefined {
    return this.#store.sshKeys().find(({ project }) => project === this.#task.project.id);
  }

  #isLocked(): boolean {
    return this.#store.status().state === 'locked';
  }

  /** Undefined where it cannot be read: then nothing is signed. */
  async #knownHosts(): Promise<KnownHosts | undefined> {
    try {
      return parseKnownHosts(await loadKnownHosts(this.#task.project));
    } catch (error) {
      if (error instanceof RuntimeError) return undefined;
      throw error;
    }
  }
}

/** The agent as one connection sees it: the sessions bound to it are its own. */
export class ConnectionAgent {
  readonly #agent: TaskAgent;
  #sessions: readonly BoundSession[] = [];

  constructor(agent: TaskAgent) {
    this.#agent = agent;
  }

  /** Answers one message. Never throws for what a container sent. */
  async answer(message: Uint8Array): Promise<AgentAnswer> {
    if (!this.#agent.admits()) return { message: failure(), isLast: true };
    const request = this.#parse(message);
    if (request === undefined) return this.#end('other', 'malformed');
    switch (request.kind) {
      case 'list':
        return goOn(this.#agent.list());
      case 'sign':
        return goOn(await this.#agent.sign(request, this.#sessions));
      case 'bind':
        return this.#bind(request);
      case 'other':
        this.#agent.note({ method: 'other', outcome: 'unsupported', target: `message ${request.type}` });
        return goOn(failure());
    }
  }

  /** The stream itself is broken. */
  noteMalformed(): void {
    if (this.#agent.admits()) this.#agent.note({ method: 'other', outcome: 'malformed' });
  }

  #parse(message: Uint8Array): AgentRequest | undefined {
    try {
      return parseRequest(message);
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  /**
   * Whoever is on the other side of a forwarded connection is another host, which could say anything from then on: that
   * connection ends here.
   */
  #bind(bind: SessionBind): AgentAnswer {
    const target = fingerprintOf(bind.hostKey);
    if (bind.isForwarding) return this.#end('bind', 'forwarding', target);
    const refuse = (outcome: AgentOutcome): AgentAnswer => {
      this.#agent.note({ method: 'bind', outcome, target });
      return goOn(failure());
    };
    if (this.#sessions.length >= MAX_SESSIONS) return refuse('too-many-sessions');
    const bound = this.#sessions.find(({ sessionId }) => sessionId.equals(bind.sessionId));
    // The first word counts: one session has one host.
    if (bound !== undefined && !bound.hostKey.equals(bind.hostKey)) return refuse('forged-session');
    if (!isSignedByHost(bind)) return refuse('forged-session');
    if (bound === undefined) {
      // Copies: what was parsed are views of a larger buffer.
      this.#sessions = [
        ...this.#sessions,
        { hostKey: Buffer.from(bind.hostKey), sessionId: Buffer.from(bind.sessionId) },
      ];
    }
    return goOn(success());
  }

  #end(method: AgentAct['method'], outcome: AgentOutcome, target?: string): AgentAnswer {
    this.#agent.note({ method, outcome, target });
    return { message: failure(), isLast: true };
  }
}

const goOn = (message: Buffer): AgentAnswer => ({ message, isLast: false });
