package standin

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestMain keeps whatever this machine knows of AWS, and of other certificates, out of the tests.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasSuffix(name, "_CA_BUNDLE") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// start starts a stand-in with a user, a bucket named bucket, and a role that the user may assume with an External ID.
func start(t *testing.T) (*Standin, User) {
	t.Helper()
	s, err := Start(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the stand-in: %v", err)
		}
	})
	u, err := s.AddUser(User{ARN: brokerARN})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, Role{ARN: readerARN, TrustPolicy: trusting(brokerARN, `,"Condition":{"StringEquals":{"sts:ExternalId":"`+externalID+`"}}`)})
	if err := s.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	return s, u
}

const (
	brokerARN  = "arn:aws:iam::111122223333:user/broker"
	readerARN  = "arn:aws:iam::123456789012:role/team/Reader"
	externalID = "4f1c2a8e-External/Id"
)

// trusting returns a trust policy that lets a principal assume the role, with more elements of the statement.
func trusting(principal, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"` + more + `}]}`
}

func put(t *testing.T, s *Standin, r Role) {
	t.Helper()
	if err := s.PutRole(r); err != nil {
		t.Fatal(err)
	}
}

// provider returns static credentials.
func provider(id, secret, token string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(id, secret, token)
}

// stsClient returns the AWS SDK's client for the stand-in's STS, which tries once.
func stsClient(s *Standin, p aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{Region: s.Region(), BaseEndpoint: aws.String(s.STS()), Credentials: p, RetryMaxAttempts: 1})
}

// s3Client returns the AWS SDK's client for the stand-in's S3, which tries once.
func s3Client(s *Standin, p aws.CredentialsProvider) *s3.Client {
	return s3.New(s3.Options{Region: s.Region(), BaseEndpoint: aws.String(s.S3()), Credentials: p, RetryMaxAttempts: 1, UsePathStyle: true})
}
