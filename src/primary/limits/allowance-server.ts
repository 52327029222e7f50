import { type Amounts, add, combine, excess, lacking, NO_AMOUNTS } from '../../shared/ipc/amounts.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { PresenceRegistry } from '../presence/registry.ts';

/** A worker that does not answer a recall in this time keeps what it holds. */
const RECALL_TIMEOUT_MS = 1_000;

type FromWorker = Extract<ToPrimary, { type: `allowance${string}` }>;
type AllowanceRequest = Extract<FromWorker, { type: 'allowanceRequest' }>;

interface WaitingRequest {
  readonly worker: string;
  readonly message: AllowanceRequest;
  /** The other workers have returned what they do not use. */
  hasRecalled: boolean;
}

interface AppState {
  /** By worker: what it may still add, and what it added and has not reported. */
  readonly held: Map<string, Amounts>;
  readonly requests: WaitingRequest[];
  recall: { readonly workers: Set<string>; readonly timer: NodeJS.Timeout } | undefined;
}

type Registry = Pick<PresenceRegistry, 'app' | 'channel'>;

/**
 * Divides the limits of each app among the workers. An app has what the presence registry counts, plus what workers hold.
 * A worker asks before it exceeds what it holds, and receives a part of the rest of the limit, so that it asks rarely.
 * When too little is left, the other workers return what they do not use. Thus an app never exceeds its limits on this
 * host, and reaches them on whichever workers its clients are.
 */
export class AllowanceServer {
  readonly #registry: Registry;
  readonly #nameBytesOf: (app: string) => number;
  readonly #workers: number;
  readonly #clients = new Map<string, (message: ToWorker) => void>();
  readonly #apps = new Map<string, AppState>();

  /** `nameBytesOf` returns what the names of an app cost now. */
  constructor(options: { registry: Registry; nameBytesOf: (app: string) => number; workers: number }) {
    this.#registry = options.registry;
    this.#nameBytesOf = options.nameBytesOf;
    this.#workers = options.workers;
  }

  /** Adds a worker process. `name` must be unique for the life of the primary. */
  open(name: string, send: (message: ToWorker) => void): void {
    this.#clients.set(name, send);
  }

  /** Removes a process: what it held is free. */
  close(name: string): void {
    this.#clients.delete(name);
    for (const [app, state] of this.#apps) {
      const others = state.requests.filter(({ worker }) => worker !== name);
      state.requests.splice(0, state.requests.length, ...others);
      this.#setHeld(app, state, name, NO_AMOUNTS);
    }
  }

  /** Reports that the same worker sent before must be in the registry. */
  receive(name: string, message: FromWorker): void {
    if (!this.#clients.has(name)) return;
    const state = this.#stateOf(message.app);
    if (message.type === 'allowanceRequest') {
      state.held.set(name, message.held);
      state.requests.push({ worker: name, message, hasRecalled: false });
      this.#serve(message.app, state);
    } else this.#setHeld(message.app, state, name, message.held);
  }

  #stateOf(app: string): AppState {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const state: AppState = { held: new Map(), requests: [], recall: undefined };
    this.#apps.set(app, state);
    return state;
  }

  #setHeld(app: string, state: AppState, worker: string, held: Amounts): void {
    if (lacking(held, NO_AMOUNTS) === undefined) state.held.delete(worker);
    else state.held.set(worker, held);
    state.recall?.workers.delete(worker);
    if (state.recall?.workers.size === 0) this.#endRecall(app, state);
    else this.#dropIfEmpty(app, state);
  }

  #dropIfEmpty(app: string, { held, requests, recall }: AppState): void {
    if (held.size === 0 && requests.length === 0 && recall === undefined) this.#apps.delete(app);
  }

  /** Answers requests in order, up to the first that needs a recall. */
  #serve(app: string, state: AppState): void {
    if (state.recall !== undefined) return;
    for (let [request] = state.requests; request !== undefined; [request] = state.requests) {
      const { wanted, limits, channels } = request.message;
      const left = this.#leftOf(app, state, limits);
      // The app has these channels already: another worker reported them.
      const known = channels.filter((channel) => this.#registry.channel(app, channel) !== undefined);
      const needed = { ...wanted, channels: Math.max(0, wanted.channels - known.length) };
      const full = lacking(needed, left);
      if (full !== undefined && !request.hasRecalled && this.#startRecall(app, state, request)) return;
      state.requests.shift();
      const extra = full === undefined ? this.#extraOf(excess(left, needed)) : NO_AMOUNTS;
      const granted = add(extra, combine(needed, excess(left, NO_AMOUNTS), Math.min));
      // Their worker may remove a known channel before the new one has reported it.
      const held = add(granted, { ...NO_AMOUNTS, channels: known.length });
      state.held.set(request.worker, add(state.held.get(request.worker) ?? NO_AMOUNTS, held));
      const message = { type: 'allowanceGrant', app, granted, known } as const;
      this.#clients.get(request.worker)?.({ ...message, ...(full !== undefined && { full }) });
    }
    this.#dropIfEmpty(app, state);
  }

  #leftOf(app: string, { held }: AppState, limits: Amounts): Amounts {
    const { channels, subscriptions } = this.#registry.app(app)?.counts ?? NO_AMOUNTS;
    const counted = { channels, subscriptions, nameBytes: this.#nameBytesOf(app) };
    const used = [...held.values()].reduce(add, counted);
    return combine(limits, used, (one, other) => one - other);
  }

  /** Half of an equal share of what is left: the number of requests grows with the logarithm of the limit. */
  #extraOf(left: Amounts): Amounts {
    const share = (amount: number): number => Math.floor(amount / (2 * this.#workers));
    return {
      channels: share(left.channels),
      subscriptions: share(left.subscriptions),
      nameBytes: share(left.nameBytes),
    };
  }

  /** Returns false if no other worker holds anything. */
  #startRecall(app: string, state: AppState, request: WaitingRequest): boolean {
    request.hasRecalled = true;
    const workers = new Set([...state.held.keys()].filter((worker) => worker !== request.worker));
    if (workers.size === 0) return false;
    const timer = setTimeout(() => this.#endRecall(app, state), RECALL_TIMEOUT_MS);
    state.recall = { workers, timer };
    for (const worker of workers) this.#clients.get(worker)?.({ type: 'allowanceRecall', app });
    return true;
  }

  #endRecall(app: string, state: AppState): void {
    clearTimeout(state.recall?.timer);
    state.recall = undefined;
    this.#serve(app, state);
  }
}
