/** Builds a client frame (RFC 6455 §5.2), masked with zeros, with at most 125 bytes of payload. */
export function clientFrame(opcode: number, payload = '', { fin = true } = {}): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

export const TEXT = 1;
export const CONTINUATION = 0;
export const PING = 9;
export const PONG = 10;

/** Builds the request of a WebSocket upgrade. */
export function upgradeHead(target: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
