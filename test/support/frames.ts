/** A masked frame as a client sends it (RFC 6455 §5.2), with a payload of at most 125 bytes. The mask is zero. */
export function clientFrame(opcode: number, payload = '', { fin = true } = {}): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

export const TEXT = 1;
export const CONTINUATION = 0;
export const PING = 9;
export const PONG = 10;

/** The head of a WebSocket upgrade. */
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
