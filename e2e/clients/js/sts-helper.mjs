// An STS helper such as others write: a few lines around AssumeRole of the AWS SDK for JavaScript, which answer in camel case
// what the SDK returns. It listens on a port that the system chooses, and prints it. API_KEY is the one key of its callers.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { STSClient, AssumeRoleCommand } from "@aws-sdk/client-sts";

const sts = new STSClient({ region: process.env.AWS_REGION, endpoint: process.env.STS_ENDPOINT });

createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
  if (request.headers["x-api-key"] !== process.env.API_KEY) return answer(401, { error: "invalid_api_key" });
  const asked = JSON.parse(await text(request));
  for (const name of ["role_arn", "external_id", "region", "service"]) {
    if (!asked[name]) return answer(400, { error: { fieldErrors: { [name]: ["Required"] } } });
  }
  try {
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ RoleArn: asked.role_arn, ExternalId: asked.external_id, RoleSessionName: `js-${Date.now()}`, DurationSeconds: 3600 }),
    );
    answer(200, {
      accessKeyId: Credentials.AccessKeyId,
      secretAccessKey: Credentials.SecretAccessKey,
      sessionToken: Credentials.SessionToken,
      expiresAt: Credentials.Expiration,
    });
  } catch {
    answer(500, { error: "assume_role_failed" });
  }
}).listen(0, "127.0.0.1", function () {
  console.log(this.address().port);
});
