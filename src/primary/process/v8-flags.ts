import { setFlagsFromString } from 'node:v8';

/**
 * Imported first, for its effect: V8 makes the room for young objects larger as long as some of them survive, up to
 * 48 MB, and never gives it back. In the primary those are sockets on their way to a worker, and a storm of them would
 * cost each later client a kilobyte. The size itself can be set on a command line only, which is not ours here.
 */
setFlagsFromString('--semi-space-growth-factor=1');
