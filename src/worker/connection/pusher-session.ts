/** The user data of `pusher:signin`. */
export interface SignedIn {
  readonly userId: string;
  /** JSON text. */
  readonly userInfo: string | undefined;
}

/** The part of a connection that only the Pusher protocol uses. */
export interface PusherSession {
  /** Whether public channels need no grant: the app has an id and a secret. */
  readonly isOpen: boolean;
  /** The protocol version of the client: 4 to 7. */
  readonly protocol: number;
  /** Whether `pusher:connection_established` was sent. Only then may a close code ask for an immediate reconnect. */
  isEstablished: boolean;
  signedIn: SignedIn | undefined;
  /** Whether the client has signed in, or joined a private or presence channel. */
  isAuthorized: boolean;
  /** Owned by the idle timeout: consecutive checks without traffic. */
  idleChecks: number;
}

export function newSession(isOpen: boolean, protocol: number): PusherSession {
  return { isOpen, protocol, isEstablished: false, signedIn: undefined, isAuthorized: false, idleChecks: 0 };
}
