package sts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// EnvironmentRegion returns the region that the AWS SDK finds in the environment (`AWS_REGION`, the shared
// configuration file), or "" if there is none. It does not touch the network.
func EnvironmentRegion(ctx context.Context) (string, error) {
	settings, err := config.LoadDefaultConfig(ctx,
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
		config.WithLogger(logging.Nop{}), // It would write past Caddy's logs.
	)
	if err != nil {
		return "", fmt.Errorf("reading the AWS environment and shared configuration: %w", err)
	}
	return settings.Region, nil
}

// environment returns a hash of what decides about the settings: the environment variables of AWS, and
// the time and size of the files that they or the AWS SDK's defaults name. To look is nothing beside
// a call over the network.
func environment() [sha256.Size]byte {
	var vars []string
	files := map[string]string{
		"AWS_CONFIG_FILE":             config.DefaultSharedConfigFilename(),
		"AWS_SHARED_CREDENTIALS_FILE": config.DefaultSharedCredentialsFilename(),
		"AWS_CA_BUNDLE":               "",
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			continue
		}
		vars = append(vars, v)
		name, value, _ := strings.Cut(v, "=")
		if _, ok := files[name]; ok && value != "" {
			files[name] = value
		}
	}
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			vars = append(vars, fmt.Sprintf("%s %d %d", path, info.ModTime().UnixNano(), info.Size()))
		}
	}
	slices.Sort(vars)
	return sha256.Sum256([]byte(strings.Join(vars, "\x00")))
}
