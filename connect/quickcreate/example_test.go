package quickcreate_test

import (
	"fmt"
	"os"

	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/cfn"
	"github.com/caddy-aws-sigv4/caddy-aws-sigv4/connect/quickcreate"
)

// A template is read, filled in for one customer, and turned into what the customer launches.
func Example() {
	data, err := os.ReadFile("../cfn/testdata/reports.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	template, err := cfn.Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	arguments, err := template.Arguments(
		cfn.Settings{ExternalIDParameter: "ExternalId", PrincipalParameter: "Principal", Parameters: map[string]string{"Days": "7"}},
		cfn.Values{ExternalID: "9b1c3f5e-7d2a", Principal: "arn:aws-cn:iam::123456789012:role/Broker"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	stack := quickcreate.Stack{
		Region:       "cn-north-1",
		Name:         "Reports",
		TemplateURL:  "https://reports.s3.eu-west-1.amazonaws.com/reports.yaml",
		TemplateSize: template.Size,
		Capabilities: template.Capabilities,
	}
	for _, a := range arguments {
		stack.Parameters = append(stack.Parameters, quickcreate.Parameter{
			Name: a.Name, Value: a.Value, Set: a.Set, Default: a.HasDefault, NoEcho: a.NoEcho,
		})
	}
	launch, err := stack.Launch()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("link: %q\n", launch.Link)
	fmt.Println("why not:", launch.NoLink.Reason)
	fmt.Println("ask for:", launch.Ask)
	fmt.Println(launch.Deploy.Command)
	// Output:
	// link: ""
	// why not: partition
	// ask for: [Bucket]
	// aws cloudformation deploy --region cn-north-1 --stack-name Reports --template-file reports.yaml --parameter-overrides ExternalId=9b1c3f5e-7d2a Principal=arn:aws-cn:iam::123456789012:role/Broker "Bucket=${PARAM_Bucket:?set it to the value of the parameter Bucket}" Days=7 --capabilities CAPABILITY_IAM
}
