package connect

import (
	"strings"
	"testing"
	"time"
)

func TestLimitsThatCanNotBe(t *testing.T) {
	for name, c := range map[string]struct {
		l    Limits
		want string
	}{
		"service":       {Limits{Services: []string{"S 3"}}, "S 3"},
		"region":        {Limits{Regions: []string{"us-east-1/"}}, "us-east-1/"},
		"host":          {Limits{Hosts: []string{"https://x.example"}}, "no host"},
		"host of stars": {Limits{Hosts: []string{"*"}}, "no host"},
		"method":        {Limits{Methods: []string{"get"}}, "no HTTP method"},
		"path":          {Limits{Paths: []string{"a/*"}}, "slash"},
		"inner star":    {Limits{Paths: []string{"/a/*/b"}}, "at the end only"},
		"dots":          {Limits{Paths: []string{"/a/../b"}}, "segment"},
		"no calls":      {Limits{Rate: Rate{Per: time.Second}}, "at least 1"},
		"no time":       {Limits{Rate: Rate{Calls: 1}}, "1s to 24h"},
	} {
		if err := c.l.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := Limits{
		Services: []string{"s3"}, Regions: []string{"eu-west-1"}, Hosts: []string{"*.amazonaws.com", "a.example:8443"},
		Methods: []string{"GET"}, Paths: []string{"/bucket/*", "/"}, Rate: Rate{Calls: 10, Per: time.Minute},
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestLimitsPermit(t *testing.T) {
	l := Limits{
		Services: []string{"s3"}, Regions: []string{"eu-west-1"}, Hosts: []string{"*.amazonaws.com", "a.example"},
		Methods: []string{"GET", "HEAD"}, Paths: []string{"/bucket/*", "/"},
	}
	for name, c := range map[string]struct {
		method, host, path, service, region string
		want                                string
	}{
		"all":         {"GET", "s3.eu-west-1.amazonaws.com", "/bucket/a/b", "s3", "eu-west-1", ""},
		"port":        {"GET", "a.example:443", "/", "s3", "eu-west-1", ""},
		"upper case":  {"GET", "A.Example", "/", "s3", "eu-west-1", ""},
		"service":     {"GET", "a.example", "/", "iam", "eu-west-1", "service"},
		"region":      {"GET", "a.example", "/", "s3", "us-east-1", "region"},
		"host":        {"GET", "b.a.example", "/", "s3", "eu-west-1", "host"},
		"suffix only": {"GET", "evilamazonaws.com", "/", "s3", "eu-west-1", "host"},
		"other port":  {"GET", "a.example:8443", "/", "s3", "eu-west-1", "host"},
		"method":      {"PUT", "a.example", "/", "s3", "eu-west-1", "method"},
		"path":        {"GET", "a.example", "/bucket2/a", "s3", "eu-west-1", "path"},
		"way up":      {"GET", "a.example", "/bucket/../other", "s3", "eu-west-1", "path"},
	} {
		err := l.Permit(c.method, c.host, c.path, c.service, c.region)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(Limits).Permit("DELETE", "x", "/../", "iam", "us-east-1"); err != nil {
		t.Errorf("no limits: %v", err)
	}
}
