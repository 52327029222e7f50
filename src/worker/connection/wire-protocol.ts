import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { DirectMessage, GrantsChange } from '../../shared/model/control-message.ts';
import type { Publication } from '../../shared/model/publication.ts';

/**
 * One language on the wire, over the one hub. A protocol turns frames into commands of the hub and
 * publications into frames; it knows nothing of sockets. `Client` is the connection, which holds its protocol and
 * so is not imported here.
 */
export interface WireProtocol<Client = never> {
  readonly name: string;

  /**
   * Takes one message of a client. A returned promise means: the command is not finished, take no other message of
   * this client until it is. An error that it throws, or a promise that rejects, is a defect: the receive queue logs
   * it and answers with `encodeFailure`.
   */
  receive(client: Client, message: Buffer, isBinary: boolean): Promise<void> | undefined;

  /** The text that answers a message whose command failed with an unexpected error: `internal`. */
  encodeFailure(client: Client, message: Buffer, isBinary: boolean): string;

  /** The text of a publication; called once per publication however many clients get it. */
  encode(publication: Publication): string;

  /** The text of a message to a user or a socket; called once however many clients get it. */
  encodeDirect(message: DirectMessage): string;

  /** The text by which clients are told of a change of grants. A protocol without it has no grants to change. */
  encodeGrantsChange?(change: GrantsChange): string;

  /** The text by which a client is told that its token has expired. A protocol without it has no tokens. */
  encodeExpiry?(graceMs: number): string;

  /** The close code and reason of an error that ends a connection, and the message before it, if there is one. */
  closeFrameFor(error: ErrorEntry, client: Client): { code: number; reason: string; text?: string };

  /** The message and the close of a client that is refused after its handshake, before it is a connection. */
  rejection?(error: ErrorEntry): { code: number; reason: string; text: string };

  /** The client was subscribed to the channel, which the broker refuses now. */
  subscriptionRefused?(client: Client, channelName: string): void;

  /** The last client of this protocol here has left the channel. */
  channelVacated?(appKey: string, channelName: string): void;

  /** A client is gone; it has left its channels. */
  connectionClosed?(client: Client): void;
}
