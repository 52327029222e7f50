// One file imports all parts, so that they share one server even if mocha runs files in parallel.
import './01-connecting.ts';
import './02-liveness.ts';
import './03-closing.ts';
import './04-subscribing.ts';
import './05-channels.ts';
import './06-authorisation.ts';
import './07-users.ts';
import './08-http-api.ts';
import './09-webhooks.ts';
import './10-bugs-of-other-servers.ts';
import './11-client-libraries.ts';
import './12-browsers.ts';
