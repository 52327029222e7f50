import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { DirectMessage, GrantsChange } from '../../shared/model/control-message.ts';
import type { Publication } from '../../shared/model/publication.ts';

/** The protocols of clients, as logs and metrics name them. */
export type ProtocolName = 'gusher' | 'pusher';

/**
 * A protocol over WebSocket messages: translates messages into commands of the hub, and publications into text. It
 * never uses sockets. `Client` is the connection. It refers to its protocol, so this file cannot import it.
 */
export interface WireProtocol<Client = never> {
  readonly name: ProtocolName;

  /**
   * Executes one message of a client. While a returned promise is pending, no other message of the client is passed.
   * A thrown error or a rejection is a defect: the receive queue logs it, and answers with `encodeFailure`.
   */
  receive(client: Client, message: Buffer, isBinary: boolean): Promise<void> | undefined;

  /** The reply (`internal`) to a message whose command failed with an unexpected error. */
  encodeFailure(client: Client, message: Buffer, isBinary: boolean): string;

  /** The text of a publication; called once per publication for all of its subscribers. */
  encode(publication: Publication): string;

  /** The text of a message to a user or a socket; called once for all of its receivers. */
  encodeDirect(message: DirectMessage): string;

  /** The text that announces a change of grants. Absent in a protocol without changes of grants. */
  encodeGrantsChange?(change: GrantsChange): string;

  /** The text that announces the expiry of a token. Absent in a protocol without tokens. */
  encodeExpiry?(graceMs: number): string;

  /** The close code and reason for an error, and the message to send before them, if the protocol has one. */
  closeFrameFor(error: ErrorEntry, client: Client): { code: number; reason: string; text?: string };

  /** The message and close frame for a client that is rejected after its handshake, before it is a connection. */
  rejection?(error: ErrorEntry): { code: number; reason: string; text: string };

  /** Called after the broker rejected a channel that the client was subscribed to. */
  subscriptionRejected?(client: Client, channelName: string): void;

  /** Called after the last client of this protocol at this worker has left the channel. */
  channelVacated?(appKey: string, channelName: string): void;

  /** Called after a closed connection has left its channels. */
  connectionClosed?(client: Client): void;
}
