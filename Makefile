# One name per habit; each line calls a script or cargo. `make` alone lists them.

# Typed and hostile PDFs beside the clone, when they are there: the corpus tests read them, and skip without.
corpus := $(wildcard ../shared/data/pdfs)
ifneq ($(corpus),)
export CORRIGEUSE_PDF_CORPUS := $(abspath $(corpus))
endif
corpus_note = @$(if $(corpus),true,echo "note: no PDF corpus in ../shared/data/pdfs: the corpus tests are skipped")

.DEFAULT_GOAL := help
.PHONY: help demo dev test check bench scan package

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## the whole main job on this machine, offline: sample copies in, marks and costs out
	@scripts/setup run
	@scripts/local demo

dev: ## the same system left running, addresses printed; Ctrl-C stops it, its data stays in .local
	@scripts/setup run
	@scripts/local dev

test: ## every test, on the emulators
	@scripts/setup test
	$(corpus_note)
	cargo test --locked --workspace

check: ## formatting, lints, architecture, template, contract
	@scripts/setup check
	@scripts/check

bench: ## the measured figures, each beside its baseline
	@scripts/setup test
	$(corpus_note)
	@scripts/bench

scan: ## licences, bans, sources and known vulnerabilities of what we depend on
	@scripts/setup scan
	@scripts/scan

package: ## every function for AWS: bootstrap.zip for arm64 and x86_64
	@scripts/setup package
	@scripts/package
