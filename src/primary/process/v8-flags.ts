import { setFlagsFromString } from 'node:v8';

/**
 * Imported first, for its effect: keeps the space for young objects at its initial size. By default V8 enlarges it up to
 * 48 MB and never shrinks it. In the primary, a connect storm would cost a kilobyte per client for ever.
 *
 * Node.js warns against flags that change after the start. V8 reads this one only when it enlarges that space, which
 * has not happened yet, and Node.js 20 ignores it on the command line. `--max-semi-space-size`, which the workers get,
 * needs a command line; for the primary that would be a second process, through which all signals must pass.
 * The test measures the effect, so a Node.js version that ignores the flag is noticed.
 */
setFlagsFromString('--semi-space-growth-factor=1');
