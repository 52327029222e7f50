/**
 * All counters of a worker, as plain numbers that the primary sums. Gauges rise and fall; counters only grow during the life
 * of their worker.
 */
export interface Stats {
  /** Gauge: open WebSocket connections. */
  connections: number;
  /** Gauge: current subscriptions. */
  subscriptions: number;
  /** Commands rejected because the names of this host reached their budget. */
  namesRejected: number;
  /** Commands rejected because the app reached its limit of channels or subscriptions. */
  subscriptionsOverLimit: number;
  /** Joins of presence channels rejected because the channel had too many joins in a short time. */
  joinsRejected: number;
  /** Gauge: topics that this worker subscribes to. */
  topics: number;
  connectionsOpened: number;
  connectionsRejected: number;
  /** Those of them whose address had too many connects or connections. */
  connectionsAddressLimited: number;
  /** Sockets dropped without an answer, because too many had not sent a request. */
  connectionsDropped: number;
  /** Connections that the server closed. */
  connectionsClosedByServer: number;
  connectionsTooSlow: number;
  /** Rejected or closed because of the connection limit of the app. */
  connectionsOverLimit: number;
  connectionsHeartbeatLost: number;
  connectionsTooManyErrors: number;
  /** Requests that the HTTP API rejected. */
  requestsRejected: number;
  /** Channel signatures, sign-ins and tokens rejected on open connections. */
  authorizationsRejected: number;
  /** Defects: errors that no code expected. */
  unexpectedErrors: number;
  /** Seconds in which a client sent more pings, pongs or fragments than it may, and was not read from for the rest. */
  connectionsThrottled: number;
  /** HTTP requests whose client disconnected before the end of the response. */
  requestsAborted: number;
  framesReceived: number;
  protocolErrors: number;
  publicationsAccepted: number;
  publicationsRejected: number;
  /** Publications received from the broker with subscribers on this worker. */
  publicationsReceived: number;
  /** Malformed messages received from Redis. */
  publicationsMalformed: number;
  /** Publications that the embedded broker had to drop because a worker was too far behind. */
  publicationsDropped: number;
  /** Publications sent, counted per client. */
  deliveries: number;
  /** Deliveries dropped because the client was too slow. */
  deliveriesDropped: number;
}

export function createStats(): Stats {
  return {
    connections: 0,
    subscriptions: 0,
    namesRejected: 0,
    subscriptionsOverLimit: 0,
    joinsRejected: 0,
    topics: 0,
    connectionsOpened: 0,
    connectionsRejected: 0,
    connectionsAddressLimited: 0,
    connectionsDropped: 0,
    connectionsClosedByServer: 0,
    connectionsTooSlow: 0,
    connectionsOverLimit: 0,
    connectionsHeartbeatLost: 0,
    connectionsTooManyErrors: 0,
    requestsRejected: 0,
    authorizationsRejected: 0,
    unexpectedErrors: 0,
    connectionsThrottled: 0,
    requestsAborted: 0,
    framesReceived: 0,
    protocolErrors: 0,
    publicationsAccepted: 0,
    publicationsRejected: 0,
    publicationsReceived: 0,
    publicationsMalformed: 0,
    publicationsDropped: 0,
    deliveries: 0,
    deliveriesDropped: 0,
  };
}
