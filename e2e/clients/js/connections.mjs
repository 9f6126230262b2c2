// What a vendor's server and its pages do with connections, by client libraries that know nothing of this server but its
// address: HOST. API_KEY is the server's; PUBLIC_KEY and HMAC_KEY are for pages without a session; S3 is where credentials are
// used. Each line on the output is an object: a role that is to be made, after which a line is waited for, or what was found
// in the end.
import { createHmac, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { Nango } from "@nangohq/node";
import Frontend from "@nangohq/frontend";
import { S3Client, GetObjectCommand } from "@aws-sdk/client-s3";

const { HOST: host, API_KEY: apiKey, PUBLIC_KEY: publicKey, HMAC_KEY: hmacKey, S3: endpoint, REGION: region } = process.env;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => console.log(JSON.stringify(what));
const makeRole = async (role_arn, external_id) => {
  say({ role_arn, external_id });
  await lines.next();
};
const refused = async (call) => {
  try {
    return { unexpected: await call() };
  } catch (e) {
    return e.response ? `${e.response.status} ${e.response.data.error.code}` : e.type;
  }
};
const read = async (path, token) => (await fetch(host + path, { headers: token ? { authorization: `Bearer ${token}` } : {} })).json();

const integration = "acme-s3";
const role_arn = "arn:aws:iam::444455556666:role/sts-helper/Analytics";
const credentials = { type: "AWS_SIGV4", role_arn };
const server = new Nango({ host, apiKey });
const found = {};

// A page of the vendor's connects a role with a session that its server has made.
const session = await server.createConnectSession({
  end_user: { id: "u-7", email: "ann@globex.example", display_name: "Ann" },
  organization: { id: "globex", display_name: "Globex" },
  allowed_integrations: [integration],
  integrations_config_defaults: { [integration]: { connection_config: { region: region } } },
  overrides: { [integration]: { docs_connect: "https://docs.acme.example/aws" } },
  tags: { Team: "search" },
});
const { token: connectSessionToken } = session.data;
const told = (await read("/connect/session", connectSessionToken)).data;
const external_id = told.integrations_config_defaults[integration].connection_config.external_id;
const page = new Frontend({ host, connectSessionToken });
found.foreign = await refused(() => page.auth(integration, { credentials, params: { external_id: randomUUID() } }));
found.tooEarly = await refused(() => page.auth(integration, { credentials, params: { external_id } }));
await makeRole(role_arn, external_id);
const connected = await page.auth(integration, { credentials, params: { external_id } });
const { connectionId } = connected;
found.integration = connected.providerConfigKey;
found.again = await refused(() => page.auth(integration, { credentials: { ...credentials, role_arn: role_arn + "2" } }));

// The server finds the connection, and what it is for.
found.waited = (await server.waitForConnection(integration, "u-7")).connection_id === connectionId;
const listed = async (filter) => (await server.listConnections(filter)).connections.map((c) => c.connection_id === connectionId);
found.listed = [
  await listed({ userId: "u-7", integrationId: [integration], tags: { Team: "search", email: "ann@globex.example" }, limit: 10 }),
  await listed({ connectionId }),
  await listed({ userId: "u-8" }),
  await listed({ limit: 1, page: 1 }),
];
const connection = await server.getConnection(integration, connectionId);
found.connection = {
  provider: connection.provider, end_user: connection.end_user.email, organization: connection.end_user.organization.id, tags: connection.tags,
  external_id: connection.connection_config.external_id === external_id, type: connection.credentials.type, errors: connection.errors,
};
const token = await server.getToken(integration, connectionId);
const raw = await server.getRawTokenResponse(integration, connectionId, true);
found.refreshed = raw.session_token !== token.session_token && Date.parse(raw.expires_at) > Date.now();
const s3 = new S3Client({
  endpoint, region: region, forcePathStyle: true,
  credentials: { accessKeyId: raw.access_key_id, secretAccessKey: raw.secret_access_key, sessionToken: raw.session_token },
});
found.object = await (await s3.send(new GetObjectCommand({ Bucket: "bucket", Key: "reports/1" }))).Body.transformToString();

// It keeps what it wants to know with it, which outlives a reconnect.
await server.setMetadata(integration, connectionId, { plan: "pro", seats: 3 });
await server.updateMetadata(integration, connectionId, { seats: 4 });
await server.patchConnection({ connectionId, provider_config_key: integration }, { tags: { team: "ads" }, end_user: { id: "u-9", email: "bob@globex.example" } });
const again = await server.createReconnectSession({ connection_id: connectionId, integration_id: integration });
const renewed = await new Frontend({ host, connectSessionToken: again.data.token }).reconnect(integration, { credentials });
found.renewed = renewed.connectionId === connectionId;
found.metadata = await server.getMetadata(integration, connectionId);
found.tags = (await server.getConnection(integration, connectionId)).tags;

// It calls AWS on the customer's behalf.
const call = { providerConfigKey: integration, connectionId };
await server.put({ ...call, endpoint: "/bucket/written", data: "two", headers: { "Content-Type": "text/plain" } });
const got = await server.get({ ...call, endpoint: "/bucket/written", retries: 2 });
found.proxied = [got.status, got.headers["content-type"], got.data];
found.nobody = await refused(() => server.get({ ...call, connectionId: randomUUID(), endpoint: "/bucket/written" }));

found.integrations = (await server.listIntegrations()).configs.map((i) => i.unique_key);
await server.deleteConnection(integration, connectionId);
found.deleted = [await refused(() => server.getConnection(integration, connectionId)), await refused(() => server.deleteConnection(integration, connectionId))];

// A page without a session shows a public key, and what the vendor's server has signed.
const chosen = randomUUID();
const hmac = createHmac("sha256", hmacKey).update(`${integration}:${chosen}`).digest("hex");
const open = new Frontend({ host, publicKey });
found.unproven = await refused(() => open.auth(integration, chosen, { credentials }));
found.forged = await refused(() => open.auth(integration, randomUUID(), { credentials, hmac }));
const asked = await read(`/auth/aws-sigv4/${integration}?public_key=${publicKey}&connection_id=${chosen}&hmac=${hmac}`);
await makeRole(role_arn + "2", asked.external_id);
const own = await open.auth(integration, chosen, { credentials: { ...credentials, role_arn: role_arn + "2" }, hmac });
found.chosen = own.connectionId === chosen;

say({ found });
process.exit(0);
