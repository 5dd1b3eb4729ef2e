# The interface of the project. `make` alone lists the targets.
# ONLY=... (bench): sealctl, sops, cold-start, restart, latency, wave; --readme also puts the table into README.md.
# TARGET=yaml TIME=600 (fuzz): which targets (all), and for how many seconds each (60).
# KEEP=1 (demo): leave the control plane up and print how to look at it.

.DEFAULT_GOAL := help
.PHONY: help build test demo demo-local check fmt crd image bench fuzz clean
export KEEP TIME
comma := ,

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## sealctl and seald, for development (target/debug)
	cargo build --locked --bins

test: ## everything that proves the project, from nothing, against a real API server
	@tests/run.sh

demo: ## the main job in front of you, on a throwaway control plane (KEEP=1 leaves it up)
	@tests/run.sh --only tools,build,demo

demo-local: ## the same document for a process without any cluster, in seconds
	@tests/run.sh --only build,demo-local

check: ## format, lints, pages, packages: what must hold before a commit
	@tests/run.sh --only fmt,clippy,doc,packages

fmt: ## format the sources
	cargo fmt --all

crd: ## generate deploy/crd from the Rust types
	cargo run --locked --quiet --bin sealctl -- generate crd > deploy/crd/sealedenv.yaml.new
	mv deploy/crd/sealedenv.yaml.new deploy/crd/sealedenv.yaml

image: ## an image from scratch as a tar that docker, kind, k3s and ctr load (target/image)
	@deploy/image/build.sh

bench: ## the figures of the README, as a table and as JSON (ONLY=cold-start,latency: some of them)
	@tests/cluster/tools/build.sh etcd kubernetes kwok sops >/dev/null
	@# The programs as the image holds them: static ones start in half the time.
	RUSTFLAGS="$$(cat deploy/image/rustflags)" cargo bench --locked --target $$(rustc -vV | sed -n 's/^host: //p') --bench figures -- $(ONLY)

fuzz: ## search for inputs that break a reader (TARGET=yaml,json: some of them; TIME=600: seconds for each)
	@tests/fuzz/run.sh $(subst $(comma), ,$(TARGET))

clean: ## remove what was built here; the test servers stay in the user's cache
	cargo clean
	rm -rf tests/fuzz/target
