package endpoint

import "slices"

// regions are those that AWS has opened or named. Source: partitions.json of the AWS SDKs.
var regions = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
	"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1",
	"eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1",
	"us-east-2", "us-west-1", "us-west-2",
	"cn-north-1", "cn-northwest-1", "eusc-de-east-1", "us-gov-east-1", "us-gov-west-1",
	"us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "eu-isoe-west-1", "us-isof-east-1", "us-isof-south-1",
}

// KnownRegion says whether a region was open when this was written. AWS opens several a year, so that one
// that is not known is no mistake yet.
func KnownRegion(region string) bool { return slices.Contains(regions, region) }

// NearRegion returns the known region that a name is most likely a slip for, or "" if none is near: up to two
// letters may be wrong, missing or too many, but not the first.
func NearRegion(name string) string {
	if name == "" || len(name) > maxRegion {
		return ""
	}
	near, least := "", 3
	for _, r := range regions {
		if d := distance(name, r); d < least && r[0] == name[0] {
			near, least = r, d
		}
	}
	return near
}

// distance is how many letters have to be changed, left out or put in to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
