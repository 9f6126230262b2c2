package credentials

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if any test leaves a goroutine behind, those on real time included; the ones in a
// bubble of testing/synctest can't.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
