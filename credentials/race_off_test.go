//go:build !race

package credentials

const raceDetector = false
