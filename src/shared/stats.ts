/**
 * Everything that is counted is counted here, once: plain numbers that a worker adds to and the primary sums.
 * Gauges go up and down; the others only grow, for the life of their worker.
 */
export interface Stats {
  /** Gauge: WebSocket clients open now. */
  connections: number;
  /** Gauge: pairs of client and channel now. */
  subscriptions: number;
  /** Commands refused because the names of the host had reached their budget. */
  namesRefused: number;
  /** Commands refused because the app had as many channels or subscriptions as it may have. */
  subscriptionsOverLimit: number;
  /** Joins of presence channels refused because the channel had too many in a short time. */
  joinsRefused: number;
  /** Gauge: topics this worker wants from its broker. */
  topics: number;
  connectionsOpened: number;
  connectionsRefused: number;
  /** Of these, refused because their address had too many connects or connections. */
  connectionsAddressLimited: number;
  /** Sockets dropped without an answer, because too many had not sent a request. */
  connectionsDropped: number;
  /** Connections that the server ended, for whatever reason. */
  connectionsClosed: number;
  connectionsTooSlow: number;
  /** Refused or closed because the app had as many as it may have. */
  connectionsOverLimit: number;
  connectionsHeartbeatLost: number;
  connectionsTooManyErrors: number;
  /** Requests to the HTTP API that were refused. */
  requestsRefused: number;
  /** Channel signatures, sign-ins and tokens that were refused on an open connection. */
  authorizationsRefused: number;
  /** Defects: errors that no code expected. */
  unexpectedErrors: number;
  /** Seconds in which a client sent more pings, pongs or fragments than it may, and was not read from for the rest. */
  connectionsThrottled: number;
  /** HTTP requests whose client hung up before it had the whole answer. */
  requestsAborted: number;
  framesReceived: number;
  protocolErrors: number;
  publicationsAccepted: number;
  publicationsRefused: number;
  /** Publications that came from the broker for somebody here. */
  publicationsReceived: number;
  /** What came from Redis and was no publication. */
  publicationsMalformed: number;
  /** Publications that the embedded broker had to drop because a worker was too far behind. */
  publicationsDropped: number;
  /** One publication to one client. */
  deliveries: number;
  /** Deliveries not made because the client was too slow. */
  deliveriesDropped: number;
}

export function createStats(): Stats {
  return {
    connections: 0,
    subscriptions: 0,
    namesRefused: 0,
    subscriptionsOverLimit: 0,
    joinsRefused: 0,
    topics: 0,
    connectionsOpened: 0,
    connectionsRefused: 0,
    connectionsAddressLimited: 0,
    connectionsDropped: 0,
    connectionsClosed: 0,
    connectionsTooSlow: 0,
    connectionsOverLimit: 0,
    connectionsHeartbeatLost: 0,
    connectionsTooManyErrors: 0,
    requestsRefused: 0,
    authorizationsRefused: 0,
    unexpectedErrors: 0,
    connectionsThrottled: 0,
    requestsAborted: 0,
    framesReceived: 0,
    protocolErrors: 0,
    publicationsAccepted: 0,
    publicationsRefused: 0,
    publicationsReceived: 0,
    publicationsMalformed: 0,
    publicationsDropped: 0,
    deliveries: 0,
    deliveriesDropped: 0,
  };
}
