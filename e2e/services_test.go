package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/e2e/internal/moto"
)

// TestCallerIdentity asks the stand-in's STS who the proxy is, in each way in which one can ask. moto refuses every
// signature of a GET with a query.
func TestCallerIdentity(t *testing.T) {
	for style, routes := range styles {
		t.Run(style, func(t *testing.T) {
			b := newBed(t)
			routes = strings.NewReplacer("<s3>", "<sts>", "<s3-host>", "<sts-host>", "<target>", strings.Replace(target, "service s3", "service sts", 1)).Replace(routes)
			b.runCaddy(sites(routes))
			const says = "<Arn>arn:aws:sts::123456789012:assumed-role/Reader/"
			for _, target := range []string{
				"/?Version=2011-06-15&Action=GetCallerIdentity", "/?Action=GetCallerIdentity&Version=2011-06-15", "//?&Version=2011-06-15&&Action=GetCallerIdentity",
				"/a/..?Version=2011%2D06%2d15&Action=Get%43allerIdentity",
			} {
				b.do("GET", target, "").expect(t, target, 200, says)
			}
			b.do("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", "Content-Type: application/x-www-form-urlencoded; charset=utf-8").expect(t, "POST", 200, says)
			b.do("POST", "/?Version=2011-06-15", "Action=GetCallerIdentity", "Content-Type: application/x-www-form-urlencoded").expect(t, "POST with a query", 200, says)
		})
	}
}

// TestOtherServices calls services of other protocols than S3's, as plain HTTP, at moto: SQS and DynamoDB with JSON, SQS
// and STS with the Query protocol. The proxy is a role's session; moto's STS gives it.
func TestOtherServices(t *testing.T) {
	m := moto.Start(t)
	b := newBed(t)
	broker := m.AddUser(t, "broker")
	m.AddRole(t, "Caller", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/broker"},`+
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":%q}}}]}`, externalID))
	m.CheckSignatures(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", m.URL)

	var routes strings.Builder
	for _, service := range []string{"sqs", "dynamodb", "sts"} {
		fmt.Fprintf(&routes, "handle_path /%s/* {\naws_sigv4 %s {\nservice %s\nregion %s\ncredentials caller\n}\n}\n", service, m.URL, service, moto.Region)
	}
	b.runCaddy(fmt.Sprintf(`{
	aws_sigv4 {
		credentials broker static %s %s
		credentials caller assume_role arn:aws:iam::123456789012:role/Caller {
			from broker
			external_id %s
			session_name end-to-end
		}
	}
}
http://<site> {
	%s
}
`, broker.AccessKeyID, broker.SecretAccessKey, externalID, routes.String()))

	json := func(service, version, target, body string) reply {
		t.Helper()
		return b.do("POST", "/"+service+"/", body, "Content-Type: application/x-amz-json-"+version, "X-Amz-Target: "+target)
	}
	form := func(service, body string) reply {
		t.Helper()
		return b.do("POST", "/"+service+"/", body, "Content-Type: application/x-www-form-urlencoded")
	}

	const session = "arn:aws:sts::123456789012:assumed-role/Caller/end-to-end"
	form("sts", "Action=GetCallerIdentity&Version=2011-06-15").expect(t, "GetCallerIdentity", 200, "<Arn>"+session+"</Arn>")

	json("sqs", "1.0", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`).expect(t, "CreateQueue", 200, "/123456789012/q")
	queue := m.URL + "/123456789012/q"
	for _, message := range []string{"plain", "with \"quotes\" & ümläuts 🎉", strings.Repeat("long ", 20000)} {
		json("sqs", "1.0", "AmazonSQS.SendMessage", fmt.Sprintf(`{"QueueUrl":%q,"MessageBody":%q}`, queue, message)).expect(t, "SendMessage", 200, "MD5OfMessageBody")
	}
	json("sqs", "1.0", "AmazonSQS.ReceiveMessage", fmt.Sprintf(`{"QueueUrl":%q}`, queue)).expect(t, "ReceiveMessage", 200, `"Body"`, "plain")
	form("sqs", "Action=ListQueues&Version=2012-11-05&QueueNamePrefix=q").expect(t, "ListQueues", 200, "<QueueUrl>")

	const version = "DynamoDB_20120810."
	json("dynamodb", "1.0", version+"CreateTable", `{"TableName":"t","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],`+
		`"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}`).expect(t, "CreateTable", 200, "TableDescription")
	blob := base64.StdEncoding.EncodeToString([]byte("\x00\xff+/="))
	json("dynamodb", "1.0", version+"PutItem", fmt.Sprintf(`{"TableName":"t","Item":{"k":{"S":"a/b c"},"v":{"B":%q}}}`, blob)).expect(t, "PutItem", 200)
	json("dynamodb", "1.0", version+"GetItem", `{"TableName":"t","Key":{"k":{"S":"a/b c"}}}`).expect(t, "GetItem", 200, blob)
	json("dynamodb", "1.0", version+"GetItem", `{"TableName":"none","Key":{"k":{"S":"a"}}}`).expect(t, "GetItem of no table", 400, "ResourceNotFoundException")
}
