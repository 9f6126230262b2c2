// What a vendor's server does with integrations, by a client library that knows nothing of this server but its address: HOST.
// API_KEY is the server's. What was found is an object on the output.
import { Nango } from "@nangohq/node";

const { HOST: host, API_KEY: apiKey } = process.env;
const server = new Nango({ host, apiKey });
const found = {};
const refused = async (call) => {
  try {
    return { unexpected: await call() };
  } catch (e) {
    return `${e.response.status} ${e.response.data.error.code}`;
  }
};

const made = await server.createIntegration({
  provider: "aws-sigv4", unique_key: "reports", display_name: "Reports", forward_webhooks: true,
  integration_config: {
    service: "s3", defaultRegion: "eu-west-1", stsMode: "builtin", awsAccessKeyId: "AKIAIOSFODNN7EXAMPLE", awsSecretAccessKey: "a-secret-of-the-vendor",
  },
});
found.made = [made.data.unique_key, made.data.provider, made.data.integration_config.awsSecretAccessKey];
found.twice = await refused(() => server.createIntegration({ provider: "aws-sigv4", unique_key: "reports" }));
found.other = await refused(() => server.createIntegration({ provider: "github", unique_key: "git" }));
const changed = await server.updateIntegration({ uniqueKey: "reports" }, {
  display_name: "More reports", integration_config: {
    stsMode: "custom", stsEndpointUrl: "https://sts.acme.example/assume-role", stsAuthType: "api_key", stsApiKey: "a-key-of-the-helper",
  },
});
found.changed = [changed.data.display_name, changed.data.integration_config.stsMode, changed.data.integration_config.stsApiKey];
const kept = await server.updateIntegration({ uniqueKey: "reports" }, { integration_config: { stsApiKey: "", defaultRegion: "us-east-1" } });
found.kept = [kept.data.integration_config.defaultRegion, kept.data.integration_config.stsApiKey];
found.elsewhere = await refused(() => server.updateIntegration({ uniqueKey: "reports" }, { integration_config: { stsEndpointUrl: "https://evil.example/" } }));
const read = await server.getIntegration({ uniqueKey: "reports" }, { include: ["webhook", "credentials"] });
found.read = [read.data.unique_key, read.data.credentials, read.data.webhook_url];
found.listed = (await server.listIntegrations()).configs.map((i) => `${i.unique_key} ${i.provider}`);
const renamed = await server.updateIntegration({ uniqueKey: "reports" }, { unique_key: "archive" });
found.renamed = renamed.data.unique_key;
found.readOnly = [
  await refused(() => server.updateIntegration({ uniqueKey: "acme-s3" }, { display_name: "Mine" })), await refused(() => server.deleteIntegration("acme-s3")),
];
found.deleted = (await server.deleteIntegration("archive")).data.success;
found.gone = await refused(() => server.getIntegration({ uniqueKey: "archive" }));
console.log(JSON.stringify({ found }));
