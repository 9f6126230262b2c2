//go:build race

package credentials

const raceDetector = true
