# Everything that a developer runs; `make` alone explains it. Root is asked for
# by sudo where it is needed, and sudo's PATH need not have Go.

GO_DIR := $(shell .ci/find-go)
export PATH := $(GO_DIR):$(PATH):/usr/sbin:/sbin
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help build demo test setup fmt lint generate generate-check fuzz bench bench-xdp verifier old-kernel boot-times install clean

help: ## explain this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || \
	 sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1   \2/p' $(MAKEFILE_LIST)

# What root builds in somebody's checkout is that somebody's.
HAND_OVER = @[ "$$(id -u)" != 0 ] || chown -R --reference=Makefile $$(ls -d xdpxe xdpxe-bench bin 2>/dev/null)

build: ## build the daemon and its tools, and the load generator: ./xdpxe, ./xdpxe-bench
	CGO_ENABLED=0 go build -o xdpxe ./cmd/xdpxe
	CGO_ENABLED=0 go build -o xdpxe-bench ./cmd/xdpxe-bench
	$(HAND_OVER)

demo: ## a rack in network namespaces boots real firmware through xdpxe, then goes away (installs what is missing)
	@.ci/setup demo
	@CGO_ENABLED=0 go build -o xdpxe ./cmd/xdpxe
	@go build -o bin/demo ./bench/lab/demo
	$(HAND_OVER)
	@$(SUDO) bin/demo -daemon ./xdpxe

test: ## everything that CI runs (installs what is missing; about 10 minutes)
	@.ci/setup test
	@.ci/test

setup: ## only install what demo, bench and test need
	@.ci/setup test

fmt: ## format Go and C
	gofmt -w .
	find . -name '*.[ch]' ! -path '*/headers/*' -print0 | xargs -0 clang-format-14 -i

lint: ## format check, vet, staticcheck
	@.ci/test format vet staticcheck

generate: ## compile the XDP programs and their Go bindings
	go generate ./bpf ./bench/xdp

generate-check: ## prove that the committed BPF objects match their source
	@.ci/check-generated

FUZZTIME ?= 30s
fuzz: ## run every fuzz target for FUZZTIME (30s)
	@set -e; for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; done

bench-xdp: ## ns per packet of each exit of the XDP program (root)
	@go test -c -o bin/bpf.test ./bpf
	$(HAND_OVER)
	cd bpf && $(SUDO) ../bin/bpf.test -test.run '^$$' -test.bench . -test.v

verifier: ## instructions and stack that the verifier counts, for each clang-N installed (root)
	@go test -c -o bin/bpf.test ./bpf
	$(HAND_OVER)
	cd bpf && $(SUDO) ../bin/bpf.test -test.run VerifierCost -test.v

KERNEL ?= 6.1
old-kernel: ## run the tests of the XDP program and its loader on another Debian kernel, in QEMU (KERNEL=6.1 or a package's file; 10 minutes)
	@.ci/old-kernel $(KERNEL)

ROUNDS ?= 3
boot-times: ## time from power-on to the boot program, beside dnsmasq's (root; ROUNDS=3)
	@CGO_ENABLED=0 go build -o xdpxe ./cmd/xdpxe
	@go build -o bin/boottimes ./bench/lab/boottimes
	$(HAND_OVER)
	@$(SUDO) bin/boottimes -daemon ./xdpxe -rounds $(ROUNDS)

WORK  ?=
LABEL ?= $(if $(WORK),$(subst $(comma),-,$(WORK)),all)
comma := ,
bench: build ## xdpxe beside other servers, into bench/results (root; ROUNDS=3 WORK=dhcp,tftp LABEL=…)
	@.ci/setup bench
	@$(SUDO) ./xdpxe-bench compare --xdpxe ./xdpxe --rounds $(ROUNDS) $(if $(WORK),--work $(WORK)) --results bench/results --label $(LABEL)
	@$(SUDO) chown -R --reference=Makefile bench/results

install: build ## copy the program to PREFIX/bin (/usr/local)
	$(SUDO) install -D -m 755 xdpxe $(DESTDIR)$(PREFIX)/bin/xdpxe

clean: ## remove what make built
	rm -rf xdpxe xdpxe-bench bin
