#!/usr/bin/env bash
# Verifies docs/model/paid.pml with Spin: the protocol as it is must keep every
# promise, and each way of breaking it must be caught for the promise that it
# breaks. Before that, holds the model against the source: the places that it
# names exist, and no transition of an item is missing from it.
#
#   scripts/model.sh           everything
#   scripts/model.sh places    only the comparison with the source, in a second
#   scripts/model.sh NAME...   the named runs
set -euo pipefail

cd "$(dirname "$0")/.."
model=docs/model/paid.pml
root=$PWD

# --- The model and the source -------------------------------------------------

# source_of prints the Go files of a package without its tests.
source_of() {
	local dir
	for dir in "$1" "internal/$1" "internal/provider/$1"; do
		if [[ -d $dir ]]; then
			find "$dir" -maxdepth 1 -name '*.go' ! -name '*_test.go'
			return
		fi
	done
}

# exists says whether the source has a place: session/lua/write.lua,
# handlers.Handlers.claim (a method), or fault.ChargeOf (anything at top level).
exists() {
	local place=$1 package name type files
	if [[ $place == */* ]]; then
		[[ -f internal/$place ]]
		return
	fi
	package=${place%%.*} name=${place#*.}
	files=$(source_of "$package")
	[[ -n $files ]] || return 1
	if [[ $name == *.* ]]; then
		type=${name%%.*} name=${name#*.}
		# shellcheck disable=SC2086 # one word per file
		grep -qE "^func \(([a-z][A-Za-z]* )?\*?$type\) $name\(" $files
		return
	fi
	# shellcheck disable=SC2086
	grep -qE "^(func|type|const|var) $name[^A-Za-z0-9_]|^	$name( |,|$)" $files
}

# named prints what the model and its page say after a tag, once each.
named() { grep -ohE "@$1 [A-Za-z0-9_./]+" "$model" docs/model/README.md | sed -E "s|^@$1 ||; s|\.$||" | sort -u; }

places() {
	local place count=0 wrong=0 transition known
	while read -r place; do
		count=$((count + 1))
		exists "$place" || {
			echo "model: $place is named in docs/model, and is not in the source" >&2
			wrong=1
		}
	done < <(named code; named left-out)
	known=$(named code; named left-out)
	# A transition is what may refuse: an exported method of Item with an error.
	while read -r transition; do
		grep -qxF "session.Item.$transition" <<<"$known" || {
			echo "model: session.Item.$transition is a transition that docs/model neither has (@code) nor leaves out (@left-out)" >&2
			wrong=1
		}
	done < <(source_of session | xargs sed -nE 's/^func \(it \*Item\) ([A-Z][A-Za-z]*)\(.*\) error \{$/\1/p')
	if [[ $count -lt 20 ]]; then
		echo "model: only $count places are named: they cannot be read any more" >&2
		wrong=1
	fi
	[[ $wrong -eq 0 ]] || exit 1
	printf '%-22s %-9s %s places of the source are where the model says, every transition is accounted for\n' places ok "$count"
}

# --- The runs -------------------------------------------------------------------

# How much of the world each run has. FAULTS are crashes, freezes, lost answers and
# so on, any so many of any kind; OPS are people's decisions.
paid='-DSTEPS=2 -DGENS=3 -DFAULTS=2 -DOPS=1'          # upload, free or paid, then extend
deep='-DSTEPS=1 -DGENS=3 -DFAULTS=3 -DOPS=1'          # one paid step, more faults
fan='-DSTEPS=1 -DGENS=2 -DFAULTS=1 -DOPS=1 -DITEMS=2 -DSUBMIT' # two files, one session
live='-DSTEPS=1 -DGENS=3 -DFAULTS=2 -DOPS=1 -DQUEUE -DLIVE'    # with a queue that loses
livefan='-DSTEPS=1 -DGENS=2 -DFAULTS=1 -DOPS=0 -DITEMS=2 -DSUBMIT -DQUEUE -DLIVE'

# name, what must come of it, and the model's definitions. "holds" is a full search
# without an error; else the promise that must be seen broken.
runs() {
	cat <<-END
		upload-extend        holds  $paid
		extend-more-faults   holds  $deep
		fan-in               holds  $fan
		progress             holds  $live
		progress-fan-in      holds  $livefan
		intent-after-send    P1     $paid -DINTENT_AFTER_SEND
		retry-unknown        P1     $paid -DRETRY_UNKNOWN
		orphan-requeued      P1     $paid -DORPHAN_REQUEUES
		no-epoch             P1     $paid -DNO_EPOCH
		reused-generation    P1     $paid -DREUSE_GENERATION
		no-fence             P1b    $paid -DNO_FENCE
		early-evidence       P1b    $paid -DEARLY_EVIDENCE
		slow-network         P1b    $paid -DSLOW_NETWORK
		unknown-dropped      P2     $paid -DDROP_UNKNOWN
		no-stray             P2b    $paid -DNO_STRAY
		settle-counter       P3     $fan -DSETTLE_COUNTER
		settle-unfenced      P3     $fan -DSETTLE_UNFENCED
		no-sweep             live   $live -DNO_SWEEP
	END
}

# Spin names the assertion by its expression.
promise() {
	case $1 in
	P1) echo 'assertion violated P1_paid_once' ;;
	P1b) echo 'assertion violated P1b_never_twice_undecided' ;;
	P2) echo 'assertion violated P2_nothing_lost' ;;
	P2b) echo 'assertion violated P2b_seen_is_recorded' ;;
	P3) echo 'assertion violated P3_' ;;
	live) echo 'acceptance cycle' ;;
	esac
}

# judge says what a run's report came to, in one line.
judge() {
	local expect=$1 report=$2 states seconds
	states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$report")
	seconds=$(cut -d. -f1 <"${report%/*}/seconds")
	if [[ $expect == holds ]]; then
		if grep -q 'errors: 0$' "$report" && ! grep -qE 'Search not completed|max search depth|out of memory' "$report"; then
			echo "ok        every promise holds in $states states, $seconds s of one core"
			return
		fi
		echo "BROKEN    $(grep -m1 -E 'violated|cycle|depth|memory|invalid' "$report" || echo 'no verdict')"
		return 1
	fi
	if grep -qF "$(promise "$expect")" "$report"; then
		echo "caught    $expect breaks$(sed -nE 's/^State-vector.*depth reached ([0-9]+).*/ within \1 steps/p' "$report")"
		return
	fi
	echo "MISSED    $expect should have been seen broken; $states states, $(grep -m1 -oE 'errors: [0-9]+' "$report" || echo 'no verdict')"
	return 1
}

# verify runs Spin once, in a directory of its own. The C compiler does not optimize:
# that takes it longer than the search gains.
verify() {
	local name=$1 expect=$2 dir=$work/$1 search=(-m1000000) options=(-DCOLLAPSE -DMEMLIM=2000)
	shift 2
	local defines=("$@")
	mkdir -p "$dir"
	case " ${defines[*]} " in
	*' -DLIVE '*)
		search+=(-a -f) # cycles, under weak fairness
		options+=(-DNFAIR=4)
		;;
	*) options+=(-DSAFETY) ;;
	esac
	[[ $expect == holds || $expect == live ]] || defines+=(-DONLY "-DONLY_$expect")
	(
		cd "$dir"
		spin -a "${defines[@]}" "$root/$model" >spin.out 2>&1 && "${CC:-gcc}" -w "${options[@]}" -o pan pan.c >>spin.out 2>&1 || {
			echo "$name: the model could not be translated:" >&2
			cat spin.out >&2
			exit 1
		}
		TIMEFORMAT='%U'
		{ time ./pan "${search[@]}" >report 2>&1 || true; } 2>seconds # its verdict is in what it says
	)
	local verdict=0 line
	line=$(judge "$expect" "$dir/report") || verdict=1
	printf '%-22s %s\n' "$name" "$line"
	if [[ $verdict -ne 0 && $expect == holds && -f $dir/paid.pml.trail ]]; then
		(cd "$dir" && spin -t -p -g "${defines[@]}" "$root/$model" | tail -n 120) >&2 || true
	fi
	rm -f "$dir/pan" "$dir"/pan.*
	return "$verdict"
}

places
if [[ ${1:-} == places ]]; then
	exit 0
fi

for tool in spin "${CC:-gcc}"; do
	command -v "$tool" >/dev/null && continue
	{
		echo "The model is verified with Spin 6.5, which needs a C compiler; $tool is not installed:"
		echo "  Debian, Ubuntu:  sudo apt-get install spin gcc"
		echo "  macOS:           brew install spin"
		echo "  elsewhere:       https://spinroot.com"
	} >&2
	exit 1
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
done=0
while read -r name expect defines; do
	if [[ $# -gt 0 && " $* " != *" $name "* ]]; then
		continue
	fi
	done=$((done + 1))
	# shellcheck disable=SC2086 # one word per definition
	verify "$name" "$expect" $defines || failed=1
done < <(runs)
if [[ $done -eq 0 ]]; then
	echo "model: no such run; there are: $(runs | awk '{printf "%s ", $1}')" >&2
	exit 2
fi
exit "$failed"
