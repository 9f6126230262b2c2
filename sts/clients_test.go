package sts

import (
	"fmt"
	"testing"
)

// TestClientsAreBounded: regions that anybody can make up don't fill the memory.
func TestClientsAreBounded(t *testing.T) {
	c := NewClient(Config{})
	for i := range 3 * maxClients {
		if _, _, err := c.client(t.Context(), Where{Region: fmt.Sprintf("us-x-%d", i)}, "aws"); err != nil {
			t.Fatal(err)
		}
		if len(c.clients) > maxClients {
			t.Fatalf("%d clients are kept", len(c.clients))
		}
	}
}
