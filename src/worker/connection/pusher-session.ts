/** What a client has said of itself by `pusher:signin`. */
export interface SignedIn {
  readonly userId: string;
  /** JSON text, if it has told any. */
  readonly userInfo: string | undefined;
}

/** What the Pusher protocol knows of a connection beside what every connection is. */
export interface PusherSession {
  /** An app with an id and a secret: its public channels are for everybody, whatever grants there are. */
  readonly isOpen: boolean;
  /** The version of the protocol that the client speaks: 4 to 7. */
  readonly protocol: number;
  /** `pusher:connection_established` was sent: from then on a client may be told to come back at once. */
  isEstablished: boolean;
  signedIn: SignedIn | undefined;
  /** The app has vouched for the client: it has signed in, or joined a private or presence channel. */
  isAuthorized: boolean;
  /** Owned by the inactivity: looks in a row that found nothing said. */
  idleChecks: number;
}

export function newSession(isOpen: boolean, protocol: number): PusherSession {
  return { isOpen, protocol, isEstablished: false, signedIn: undefined, isAuthorized: false, idleChecks: 0 };
}
