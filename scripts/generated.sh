#!/usr/bin/env bash
# Runs the generators of every module named, and fails when that changes
# anything in the work tree. What was uncommitted before is nobody's business.
set -euo pipefail

go=${GO:-go}

# The work tree's state as one text: changes to tracked files, and the content
# of files that git does not know yet.
state() {
	git diff HEAD --binary
	git ls-files --others --exclude-standard | git hash-object --stdin-paths
}

before=$(state | git hash-object --stdin)
for module in "$@"; do
	if grep -rqs --include='*.go' '^//go:generate ' "$module"; then
		echo "go generate ./...  # $module"
		(cd "$module" && "$go" generate ./...)
	fi
done
if [[ $before != "$(state | git hash-object --stdin)" ]]; then
	echo "generated files are out of date: run 'go generate ./...' and commit what it changes" >&2
	git status --short >&2
	exit 1
fi
