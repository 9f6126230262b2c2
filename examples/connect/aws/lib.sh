# What up and down have in common: where they keep what they know, and whom they call AWS as. They source it.
# shellcheck shell=bash disable=SC2034 # what is set here is used there
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# settings: one NAME=value a line, of this run of the walkthrough. made: what up has made, in its order. env: for the shell.
dir=${CONNECT_DEMO_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/connect-demo}
settings=$dir/settings made=$dir/made

# What carries this tag, with the ID of the run as value, was made by up.
tag=connect-demo

die() {
	echo "examples/connect/aws/$(basename "$0"): $*" >&2
	exit 1
}

need() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || die "there is no $program"
	done
}

# setting NAME prints what up has settled, or nothing.
setting() { [ ! -f "$settings" ] || sed -n "s/^$1=//p" "$settings"; }

# as WHO ARGS... calls AWS as the vendor or as the customer. Nothing is asked at the terminal.
as() {
	local who=$1 profile
	shift
	if [ "$who" = customer ]; then profile=$(setting customer_profile); else profile=; fi
	AWS_PAGER='' aws --region "$(setting region)" ${profile:+--profile "$profile"} "$@"
}

# absent COMMAND... succeeds if AWS says that the thing is not there, and fails if it is there. Any other answer ends the
# script, because nothing may be concluded from it.
absent() {
	local said
	if said=$("$@" 2>&1 >/dev/null); then return 1; fi
	case $said in
	*'(404)'* | *NoSuch* | *'Not Found'*) return 0 ;;
	esac
	die "$said"
}
