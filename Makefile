# Segue's targets. `make` alone lists them; every one of them is also a plain
# command below, to be copied.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
BIN := $(CURDIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Every Go module here except tools/, whose only code is other people's.
MODULES := $(shell find . \( -name .git -o -name testdata -o -name node_modules -o -path ./bin -o -path ./tools \) -prune -o -name go.mod -print | sort | xargs -n1 dirname)
SUBMODULES := $(filter-out .,$(MODULES))
TOOLMODULES := ./tools ./tools/versitygw

# Longer than the slowest package needs on two busy cores, shorter than the
# patience of whoever waits for a deadlock to be reported.
TESTTIMEOUT ?= 15m
TESTFLAGS ?= -race -shuffle=on -timeout $(TESTTIMEOUT)
# What to test: `make test PKG=./internal/audio/...`
PKG ?= ./...

# How many seeds the deterministic simulation runs, without the race detector.
SEEDS ?= 10000
CHAOSSEEDS ?= 20
KILLS ?= 500

FUZZTIME ?= 30s
# package:target of every fuzz test there is.
FUZZ ?= $(shell grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' ./internal ./tasks ./enqueue ./handlers ./cmd 2>/dev/null | sed -E 's|/[^/]*:func |:|' | sort)

##@ Everyday

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ## carry five songs through a simulated provider, on an embedded Redis
	$(GO) run ./cmd/segue demo

.PHONY: build
build: ## build bin/segue: one static binary that knows its version
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/segue ./cmd/segue

.PHONY: test
test: deps ## run every test with the race detector, sub-modules too (PKG=./internal/audio/... for some)
	@# What takes longest begins first, and three at a time: tests wait more than they compute.
	$(GO) test -p 3 $(TESTFLAGS) $(if $(filter ./...,$(PKG)),./internal/e2e ./cmd/segue) $(PKG)
ifeq ($(PKG),./...)
	$(GO) test -count=1 -timeout $(TESTTIMEOUT) -run '^Test(Seeds|PlantedDefectsAreFound)$$' ./internal/dst -dst.seeds=$(SEEDS)
	$(GO) test -count=1 -timeout $(TESTTIMEOUT) -run '^Test(LimitsAreUsedAndNeverPassed|Maintenance|SmallSessionBesideALargeOne|CommandsPerItemDoNotGrow|ParkedItemsCostNothing|OutageOfDays)$$' ./handlers
	@set -e; for m in $(SUBMODULES); do echo "== $$m"; (cd $$m && $(GO) build ./... && $(GO) test $(TESTFLAGS) ./...); done
endif

.PHONY: check
check: fmt-check tidy-check vet lint arch generate-check model ## everything but the tests: exactly what CI runs before them

.PHONY: fmt
fmt: $(BIN)/gofumpt ## format all Go code
	$(BIN)/gofumpt -w $(MODULES)

##@ The parts of check

.PHONY: fmt-check
fmt-check: $(BIN)/gofumpt ## all Go code is formatted by gofumpt
	@unformatted=$$($(BIN)/gofumpt -l .); [[ -z $$unformatted ]] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }

.PHONY: tidy-check
tidy-check: ## go.mod and go.sum are what `go mod tidy` would write
	@set -e; for m in $(MODULES) $(TOOLMODULES); do echo "go mod tidy -diff  # $$m"; (cd $$m && $(GO) mod tidy -diff); done

.PHONY: vet
vet: ## go vet
	@set -e; for m in $(MODULES); do echo "go vet ./...  # $$m"; (cd $$m && $(GO) vet ./...); done

.PHONY: lint
lint: $(BIN)/golangci-lint ## golangci-lint (.golangci.yml)
	@set -e; for m in $(MODULES); do echo "golangci-lint run  # $$m"; (cd $$m && $(BIN)/golangci-lint run --allow-serial-runners --config $(CURDIR)/.golangci.yml); done

.PHONY: arch
arch: ## the import rules, and what deploy/ promises
	$(GO) test -count=1 ./internal/archtest ./deploy # both run other programs, whose reading go test cannot see and so caches past

.PHONY: generate-check
generate-check: ## generated files are what their generators write
	@GO="$(GO)" scripts/generated.sh $(MODULES)

.PHONY: model
model: ## the protocol of paid requests, proved by spin; its broken variants, caught
	@scripts/model.sh

##@ Now and then

.PHONY: chaos
chaos: deps ## the long form of the chaos suite: CHAOSSEEDS (20) new seeds
	$(GO) test -count=1 -v -timeout 3h ./internal/chaos -chaos.seeds=$(CHAOSSEEDS)

.PHONY: certify
certify: ## segue certify: KILLS (500) workers are killed under load; takes minutes
	$(GO) run ./cmd/segue certify --kills $(KILLS)

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZTIME (30s)
	@set -e; [[ -n "$(FUZZ)" ]] || { echo "no fuzz targets found"; exit 1; }; \
		for f in $(FUZZ); do echo "fuzz $$f $(FUZZTIME)"; $(GO) test -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime $(FUZZTIME) "$${f%%:*}"; done

.PHONY: bench
bench: ## run every benchmark (PKG=… for some)
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)

.PHONY: cover
cover: deps ## coverage over all packages: coverage.out, and the total
	$(GO) test -timeout $(TESTTIMEOUT) -coverpkg=./... -coverprofile=coverage.out ./...
	@$(GO) tool cover -func=coverage.out | tail -n 1

.PHONY: deps
deps: ## install what the tests drive: redis-server, audio encoders, node (root and apt), or say how; Prism, versitygw
	@scripts/deps.sh
	@$(MAKE) -s $(BIN)/versitygw $(BIN)/.prism/installed # node is there only now

.PHONY: tools
tools: $(BIN)/golangci-lint $(BIN)/gofumpt ## build the pinned tools into bin/

.PHONY: clean
clean: ## remove what these targets made
	rm -rf $(BIN) coverage.out coverage.txt

# Built from source at the versions of tools/go.mod, once: a change of version
# changes these files and so rebuilds.
$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	$(GO) build -C tools -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

$(BIN)/gofumpt: tools/go.mod tools/go.sum
	$(GO) build -C tools -o $@ mvdan.cc/gofumpt
	@touch $@

# What internal/independent holds the drivers against. Neither is part of
# anything that is built here: each has its own list of versions.
$(BIN)/versitygw: tools/versitygw/go.mod tools/versitygw/go.sum
	$(GO) build -C tools/versitygw -o $@ github.com/versity/versitygw/cmd/versitygw
	@touch $@

# A folder with a dot, since Go would take for ours what packages bring along.
$(BIN)/.prism/installed: internal/independent/prism/package.json internal/independent/prism/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
