// The official npm libraries of Standard Webhooks and CloudEvents, unmodified. Argument: the folder they are installed
// in. Standard input: messages as received, each with the secret to verify it by. Output: what the libraries say of each.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { Webhook } = require("standardwebhooks");
const { HTTP } = require("cloudevents");

function attempt(work) {
  try {
    return { value: work() };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}

function event(headers, body) {
  const event = HTTP.toEvent({ headers, body });
  event.validate();
  return event;
}

const messages = JSON.parse(readFileSync(0, "utf8"));
const said = messages.map(({ headers, body, secret }) => ({
  webhook: attempt(() => new Webhook(secret).verify(body, headers)),
  event: attempt(() => event(headers, body)),
}));
process.stdout.write(JSON.stringify(said));
