// One file, so that all parts are played to one server, also where files run side by side.
import './01-connecting.ts';
import './02-liveness.ts';
import './03-closing.ts';
import './04-subscribing.ts';
import './05-channels.ts';
import './06-authorisation.ts';
import './07-users.ts';
import './08-browsers.ts';
import './08-clients.ts';
import './09-http-api.ts';
import './12-webhooks.ts';
import './14-others.ts';
