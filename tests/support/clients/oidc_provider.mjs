// npm's oidc-provider, unmodified, on loopback. Arguments: the folder it is installed in, the port, and the file
// with its keys, which is made if it is not there. It has its own pages to log in and consent.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, port, keyFile] = process.argv.slice(2);
const entry = join(folder, "node_modules", "oidc-provider", "lib", "index.js");
const { default: Provider } = await import(pathToFileURL(entry).href);

function newKeys() {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  return [
    { ...rsa, kid: randomUUID(), use: "sig", alg: "RS256" },
    { ...ec, kid: randomUUID(), use: "sig", alg: "ES256" },
  ];
}

if (!existsSync(keyFile)) writeFileSync(keyFile, JSON.stringify(newKeys()));

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const client = (client_id, more) => ({
  client_id,
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", DEVICE],
  response_types: ["code"],
  redirect_uris: ["http://127.0.0.1/callback"],
  ...more,
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client("gradus"),
    // Its ID tokens stand for those of jobs: they are made out to it.
    client("gradus-jobs"),
    client("gradus-jobs-ec", { id_token_signed_response_alg: "ES256" }),
    client("somebody-else"),
  ],
  jwks: { keys: JSON.parse(readFileSync(keyFile)) },
  cookies: { keys: [randomUUID()] },
  claims: { openid: ["sub"], profile: ["preferred_username"], job: ["repository", "ref"] },
  // Claims go into the ID token, as CI systems have it.
  conformIdTokenClaims: false,
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: id,
      repository: id.startsWith("job-") ? `acme/${id.slice(4)}` : undefined,
      ref: "refs/heads/main",
    }),
  }),
  ttl: {
    AccessToken: 300,
    AuthorizationCode: 60,
    DeviceCode: 120,
    Grant: 300,
    IdToken: (ctx) => (ctx.oidc.account?.accountId === "job-late" ? 2 : 300),
    Interaction: 120,
    Session: 300,
  },
});
provider.listen(Number(port), "127.0.0.1");
