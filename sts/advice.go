package sts

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// This file has the advice for codes whose reason is told by the message, or by what is known.

// propagation is how long IAM usually takes until a new role or policy counts everywhere.
const propagation = time.Minute

func adviseAccessDenied(e *Error, k Known) []Cause {
	lower := strings.ToLower(e.Message)
	d, ok := e.denial()
	switch {
	case strings.Contains(lower, "multifactorauthentication"):
		return list(Cause{
			"the MFA device's code was not accepted: it was used before, it is not the one of mfa_serial, or this machine's clock is wrong",
			"compare mfa_serial with the device that IAM shows for the user, set the clock, and let one device serve one role: AWS accepts each code once",
		})
	case strings.Contains(lower, "root account"):
		return list(Cause{"an account's root user can't assume roles", "give the broker the access key of an IAM user, or better a role"})
	case strings.Contains(lower, "session credentials"):
		return list(Cause{"the broker's credentials are temporary, and can't do this", "give the broker long-term credentials, or a role"})
	case strings.Contains(lower, "withwebidentity"), strings.HasSuffix(e.Operation, "WithWebIdentity"):
		return list(Cause{
			"the role's trust policy does not trust this token: its issuer, or what it says in aud or sub",
			"let the trust policy name the OIDC provider as Federated principal, with conditions that this token meets",
		})
	case !ok:
		return append(list(roleRefuses(e, k)), unlikely(k)...)
	case d.action == "sts:TagSession":
		return notAllowedToo(d, k, "sts:TagSession", "session tags were sent", "leave out tag")
	case d.action == "sts:SetSourceIdentity":
		return notAllowedToo(d, k, "sts:SetSourceIdentity", "a source identity was sent", "leave out source_identity")
	case d.byOther():
		return list(byPolicy(d, k))
	case d.explicit:
		return list(Cause{
			fmt.Sprintf("a statement with Effect Deny refuses %s%s", callerOf(d, k), inPolicy(d)),
			"find the statement, and except the broker from it, or meet its conditions",
		})
	}
	return append(list(roleRefuses(e, k)), unlikely(k)...)
}

// notAllowedToo is about an action that is asked for beside AssumeRole.
func notAllowedToo(d denial, k Known, action, sent, leaveOut string) []Cause {
	if d.byOther() {
		return list(byPolicy(d, k))
	}
	return list(
		Cause{
			fmt.Sprintf("%s, and the role's trust policy does not allow %s", sent, action),
			fmt.Sprintf("add %q to Action in the statement of the trust policy that trusts the broker, or %s", action, leaveOut),
		},
		Cause{
			fmt.Sprintf("the broker's own policies do not allow %s", action),
			fmt.Sprintf("allow %s %s on %s", callerOf(d, k), action, roleOf(k)),
		},
	)
}

// byPolicy is about a kind of policy that AWS named.
func byPolicy(d denial, k Known) Cause {
	decides := "does not allow"
	if d.explicit {
		decides = "denies"
	}
	why := func(whose string) string {
		return fmt.Sprintf("%s %s %s on %s", whose, decides, d.action, roleOf(k))
	}
	switch d.policy {
	case servicePolicy:
		return Cause{why("a service control policy of the broker's organization"), "ask whoever runs the broker's organization to except the broker from it"}
	case resourceSCP:
		return Cause{
			why("a resource control policy of the role's organization"),
			"ask whoever runs the role's organization to except the broker from it; these often trust only principals of the organization itself",
		}
	case boundary:
		return Cause{why("the permissions boundary of the broker"), "add the role to the boundary of " + callerOf(d, k)}
	case sessionPolicy:
		return Cause{why("the session policy of the broker's own session"), "add the role to the policy of the credentials that the broker's session begins with"}
	case endpointPolicy:
		return Cause{why("the policy of the VPC endpoint that STS is called through"), "add the role to the endpoint's policy, or call another endpoint with sts_endpoint"}
	}
	whose := "none of the broker's own policies allows"
	if d.explicit {
		whose = "one of the broker's own policies denies"
	}
	return Cause{fmt.Sprintf("%s %s on %s", whose, d.action, roleOf(k)), fmt.Sprintf("attach a policy that allows %s on %s to %s", d.action, roleOf(k), callerOf(d, k))}
}

// roleRefuses is the likeliest of the reasons for which AWS answers "not authorized" alike.
func roleRefuses(e *Error, k Known) Cause {
	d, _ := e.denial()
	broker := callerOf(d, k)
	switch {
	case k.RoleAge > 0 && k.RoleAge < propagation:
		return Cause{
			"the role or its trust policy was changed moments ago, and IAM takes a while until a change counts everywhere",
			"wait a minute: it is tried again by itself",
		}
	case k.ExternalID:
		return Cause{
			"the role's trust policy does not accept this broker with this External ID",
			fmt.Sprintf("compare sts:ExternalId in the trust policy with external_id, letter by letter, and let Principal name %s", broker),
		}
	case d.caller != "" && accountOf(d.caller) == accountOf(k.RoleARN):
		return Cause{
			"the role's trust policy does not trust the broker, which is of the same account",
			fmt.Sprintf("let Principal in the trust policy name %s", broker),
		}
	}
	return Cause{
		"the role's trust policy does not trust the broker, or asks for an External ID, of which none was sent",
		fmt.Sprintf("let Principal in the trust policy name %s, and write external_id if the policy has sts:ExternalId", broker),
	}
}

// unlikely are the other reasons for "not authorized".
func unlikely(k Known) []Cause {
	all := list(
		Cause{
			"there is no such role: AWS answers as if it existed",
			fmt.Sprintf("compare account, path, name and their case with the role's own page: %s", roleOf(k)),
		},
		Cause{
			"the broker's own policies do not allow it, which across accounts is needed besides the trust policy",
			fmt.Sprintf("allow the broker sts:AssumeRole on %s", roleOf(k)),
		},
		Cause{
			"the broker's role or user was deleted and made again, and the trust policy still means the old one",
			"save the trust policy again; where it shows an ID that begins with AROA or AIDA, write the ARN",
		},
	)
	if !k.MFA {
		all = append(all, Cause{"the trust policy asks for multi-factor authentication", "write mfa_serial and where its codes come from, or except the broker"})
	}
	if k.Tags || k.SourceIdentity {
		all = append(all, Cause{
			"session tags or a source identity were sent, and the trust policy does not allow sts:TagSession or sts:SetSourceIdentity",
			"add them to Action in the statement of the trust policy that trusts the broker",
		})
	}
	if k.RoleAge == 0 {
		all = append(all, Cause{"the role or its trust policy was changed moments ago, and IAM takes a while", "wait a minute: it is tried again by itself"})
	}
	return all
}

func adviseValidation(e *Error, k Known) []Cause {
	lower := strings.ToLower(e.Message)
	has := func(text string) bool { return strings.Contains(lower, text) }
	switch {
	case has("role chaining"):
		return list(Cause{
			fmt.Sprintf("the broker's credentials are those of a role, so AWS allows one hour, and %v was asked for", k.Duration),
			"write duration 1h or less; to have more, let a user or the machine's long-term key be the broker",
		})
	case has("maxsessionduration"), has("durationseconds"):
		shorter := Cause{
			fmt.Sprintf("the role does not allow sessions of %v", k.Duration),
			"write a shorter duration, or ask the role's owner to raise its maximum session duration (1h unless set, 12h at most)",
		}
		if k.Temporary {
			return list(shorter, Cause{"the broker's credentials are those of a role, so AWS allows one hour whatever the role does", "write duration 1h or less"})
		}
		return list(shorter)
	case has("transitive"):
		return list(Cause{
			"a tag has the key of a transitive tag of the broker's session, which can't be changed further on",
			"leave the tag out, or give it another key",
		})
	case has("sourceidentity"), has("source identity"):
		return list(Cause{
			"the source identity is not one that AWS takes, or another one was set earlier in the chain and can't be changed",
			"write source_identity in the first role of the chain alone",
		})
	case has("externalid"):
		return list(Cause{"AWS does not take this External ID", "write external_id as the role's trust policy has it: 2 to 1224 letters, digits, and _+=,.@:/-"})
	case has("rolesessionname"):
		return list(Cause{"AWS does not take this session name", "write session_name with 2 to 64 letters, digits, and _+=,.@-"})
	case has("serialnumber"), has("tokencode"):
		return list(Cause{"AWS does not take this MFA device or its code", "compare mfa_serial with the device that IAM shows for the broker's user"})
	case has("tag"):
		return list(Cause{"AWS does not take these session tags", "correct tag by AWS's message"})
	case has("policy"):
		return list(malformedPolicy)
	case has("arn"):
		return list(Cause{
			"AWS does not take the role's ARN",
			fmt.Sprintf("compare it with the role's own page, and its partition with that of the broker: %s", roleOf(k)),
		})
	}
	return nil
}

func adviseRegion(_ *Error, k Known) []Cause {
	return list(Cause{
		fmt.Sprintf("STS in the region %s is not activated for the broker's account", regionOf(k)),
		"activate it in the account settings of IAM, or write sts_region with another region",
	})
}

func adviseExpired(_ *Error, k Known) []Cause {
	fixed := Cause{
		"the broker's credentials have expired, and whatever gave them gives no new ones",
		"renew them where they come from; a session token that is written in the configuration or the environment can't be refreshed: use a source that can",
	}
	if k.Skew != 0 {
		return list(clock(k), fixed)
	}
	return list(fixed, Cause{"this machine's clock is wrong", "set it by NTP"})
}

func adviseUnknownKey(_ *Error, k Known) []Cause {
	unknown := Cause{
		"AWS does not know the broker's access key: it was deleted or deactivated, or it is of another partition",
		fmt.Sprintf("look the key up in IAM, and see that it is of the same partition as %s", roleOf(k)),
	}
	if !k.Temporary {
		return list(unknown)
	}
	return list(
		Cause{
			"AWS does not know the broker's session: key and session token are not of one set, or are of another partition",
			"take access key ID, secret access key and session token from the same place at the same time",
		},
		Cause{
			fmt.Sprintf("the broker's session token is one for regions that are on by default, and %s has to be opted in to", regionOf(k)),
			"write sts_region with a region that is on by default, or have the account's STS issue tokens that are valid in all regions",
		},
		unknown,
	)
}

func adviseSignature(e *Error, k Known) []Cause {
	lower := strings.ToLower(e.Message)
	if strings.Contains(lower, "signature expired") || strings.Contains(lower, "not yet current") || k.Skew.Abs() > 5*time.Minute {
		return adviseClock(e, k)
	}
	if isWrongRegion(e) {
		return list(otherRegion(k))
	}
	return list(
		Cause{
			"the broker's secret access key is not the one of its access key ID",
			"write the secret again as AWS showed it, without blanks, line breaks or characters that a shell or an editor changed",
		},
		Cause{"something on the way changes requests", "look for an HTTP proxy between this machine and STS, and let STS pass it untouched"},
	)
}

func adviseClock(_ *Error, k Known) []Cause { return list(clock(k)) }

func clock(k Known) Cause {
	const remedy = "set this machine's clock by NTP; AWS refuses what is signed more than five minutes from its own time"
	switch {
	case k.Skew > 0:
		return Cause{fmt.Sprintf("this machine's clock is %v ahead of AWS's", k.Skew), remedy}
	case k.Skew < 0:
		return Cause{fmt.Sprintf("this machine's clock is %v behind AWS's", -k.Skew), remedy}
	}
	return Cause{"this machine's clock is wrong", remedy}
}

func adviseWebIdentity(e *Error, _ Known) []Cause {
	if strings.Contains(strings.ToLower(e.Message), "expired") {
		return list(Cause{"the web identity token has expired", "see that whatever writes the token's file renews it"})
	}
	return list(
		Cause{
			"IAM has no OIDC provider for the token's issuer in the role's account, or the token's audience is not one of the provider's",
			"make the provider in the role's account with the issuer's URL as the token has it in iss, and add the token's aud to its audiences",
		},
		Cause{"the issuer's keys or certificate changed, so the signature can't be verified", "see that the issuer's /.well-known/openid-configuration and its keys are public, and update the provider's thumbprint"},
	)
}

func adviseProvider(*Error, Known) []Cause {
	return list(Cause{
		"AWS could not reach the token's issuer to fetch its keys",
		"wait: it is tried again by itself; if it stays, see that the issuer's /.well-known/openid-configuration is public and answers within seconds",
	})
}

// withoutCode is about what is no answer of STS's.
func withoutCode(e *Error, k Known) []Cause {
	lower := strings.ToLower(e.Message)
	has := func(text string) bool { return strings.Contains(lower, text) }
	pinned, at := stsVariable(k)
	noFIPS := Cause{
		fmt.Sprintf("there may be no FIPS endpoint of STS in the region %s", regionOf(k)),
		"write sts_region with a region that has one, or leave fips out",
	}
	switch {
	case e.Status >= http.StatusInternalServerError:
		return list(awsFailed, proxied)
	case e.Status != 0:
		return list(proxied, notSTS)
	case has("no such host"), has("server misbehaving"), has("lookup"):
		name := Cause{
			fmt.Sprintf("the name of %s can't be resolved", at),
			"see that this machine's DNS knows it; in a subnet without internet, make a VPC endpoint for STS with private DNS",
		}
		name.Remedy = correct(pinned, name.Remedy)
		if k.FIPS {
			return list(noFIPS, name)
		}
		return list(name)
	case has("certificate"), has("x509"), has("tls:"):
		return list(
			Cause{
				fmt.Sprintf("the certificate of %s is not one that this machine trusts", at),
				"set AWS_CA_BUNDLE to the certificates of whatever opens TLS connections on the way, or bring the system's certificates up to date",
			},
			Cause{"this machine's clock is wrong", "set it by NTP"},
		)
	case has("connection refused"), has("network is unreachable"), has("no route to host"), has("i/o timeout"), has("deadline exceeded"), has("timeout"),
		has("connection reset"), has("closed network connection"), has("broken pipe"), has("eof"), has("broke off"):
		reach := Cause{
			fmt.Sprintf("%s can't be reached from here, or does not answer in time", at),
			"open port 443 to it in firewalls, security groups and routes; behind a proxy set HTTPS_PROXY; in a subnet without internet make a VPC endpoint for STS",
		}
		reach.Remedy = correct(pinned, reach.Remedy)
		if k.FIPS {
			return list(reach, noFIPS)
		}
		return list(reach)
	}
	return list(Cause{"no answer came from STS", "go by the message"})
}

var proxied = Cause{
	"what answered is not STS but something on the way, such as a proxy or a captive portal",
	"let STS pass it untouched, or set HTTPS_PROXY if it wants to be asked",
}

// callerOf returns who made the call, so that it can be written as Principal: AWS's word counts most. Of a
// session, that is the role.
func callerOf(d denial, k Known) string {
	s, err := ParseSessionARN(d.caller)
	role, roleErr := ParseRoleARN(k.BrokerARN)
	switch {
	case err == nil && roleErr == nil && role.Account == s.Account && role.Name == s.RoleName:
		return k.BrokerARN // It has the path, which the session's ARN lacks.
	case err == nil:
		return fmt.Sprintf("arn:%s:iam::%s:role/%s (with the role's path, if it has one)", s.Partition, s.Account, s.RoleName)
	case strings.HasPrefix(d.caller, "arn:"):
		return d.caller
	case k.BrokerARN != "":
		return k.BrokerARN
	}
	return "the broker"
}

func inPolicy(d denial) string {
	if d.policy == "" {
		return ""
	}
	return " in the " + d.policy
}

func roleOf(k Known) string {
	if k.RoleARN == "" {
		return "the role"
	}
	return k.RoleARN
}

func regionOf(k Known) string {
	if k.Region == "" {
		return "that is called"
	}
	return k.Region
}

// accountOf returns the account in an ARN, or "".
func accountOf(arn string) string {
	f := strings.SplitN(arn, ":", 6)
	if len(f) < 6 {
		return ""
	}
	return f[4]
}
