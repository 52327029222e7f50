import { type Handler, sendJson } from '../http/exchange.ts';
import { openApiText } from './document.ts';

/** `GET /openapi.json`: returns the description of the API. */
export function showOpenApi(): Handler {
  let json: string | undefined;
  return ({ response }) => {
    json ??= openApiText();
    sendJson(response, 200, json);
  };
}
