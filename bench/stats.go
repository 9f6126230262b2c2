package main

import (
	"math"
	"slices"
)

// median returns the middle value, or the mean of the two in the middle; NaN of
// none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// percentile returns the smallest of the values that at least the share p of
// them does not exceed (nearest rank). There must be one value at least.
func percentile[T int | ~int64](values []T, p float64) T {
	s := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p * float64(len(s))))
	return s[max(rank, 1)-1]
}
