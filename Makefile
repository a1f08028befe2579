# firegrid: every target sets up what it needs on a fresh Debian 12 / Raspberry Pi OS machine (Python >= 3.11, make; root for Debian packages).
# Debian's own Python where it is new enough: the one in the field, and built with profiles a third faster than a plain build.
PYTHON ?= $(shell $(DEBIANS) && $(DEBIANS_VENV) && echo /usr/bin/python3 || echo python3)
DEBIANS := /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
DEBIANS_VENV := /usr/bin/python3 -c 'import ensurepip' 2>/dev/null
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
SOAK_ARGS ?=
FUZZ_ARGS ?=
BENCH_ARGS ?=
LIMITS := $(addprefix tests/,browser faults care/test_watchdog_process.py scenarios/test_demo.py scenarios/test_field_limits.py \
  scenarios/test_slow_store.py sinks/test_half_open.py web/test_page_cost.py web/test_page_live.py drivers/test_mqtt_driver.py)
DEBIAN_TEST := python3-venv mosquitto openssl chromium chromium-driver fonts-noto-cjk systemd influxdb victoria-metrics
TOOLS_TEST := mosquitto openssl chromium chromedriver systemd-analyze influxd victoria-metrics
DEBIAN_DEB := dpkg-dev python3-venv

.PHONY: demo test check pytest bench bench-wear bench-years soak limits fuzz lock clean dashboards setup setup-test debian-test deb test-deb deb-tools

demo: setup
	$(BIN)/firegrid demo $(DEMO_ARGS)

test: setup-test
	@$(MAKE) --no-print-directory -j 2 check pytest

# Compiled once: the tests start daemons by the hundred, and each would compile the house anew where nobody may write beside the sources.
pytest: setup-test
	@$(BIN)/python -m compileall -q gateway drivers rules
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(TEST_ARGS)

check: setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup-test
	$(BIN)/firegrid bench $(BENCH_ARGS)

bench-wear: setup-test
	$(BIN)/python benchmarks/wear.py $(BENCH_ARGS)

bench-years: setup-test
	$(BIN)/python -m benchmarks.years $(BENCH_ARGS)

soak: setup-test
	FIREGRID_STRICT=1 $(BIN)/python -m pytest -q -m soak tests/soak $(SOAK_ARGS)

# What is promised in seconds, as promised: for a machine that does nothing else (`make test` only asks that it comes).
limits: setup-test
	FIREGRID_STRICT=1 $(BIN)/python -m pytest -q $(LIMITS)

fuzz: setup-test
	$(BIN)/python -m tests.fuzz.campaign $(FUZZ_ARGS)

setup: $(VENV)/.run
setup-test: debian-test $(VENV)/.test

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "firegrid needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	@touch $@

$(VENV)/.run: $(VENV)/pip requirements/run.lock pyproject.toml
	@echo "setting up $(VENV) (run)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.lock
	@echo "setting up $(VENV) (test)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/test.lock
	@touch $@

debian-test:
	@for tool in $(TOOLS_TEST); do PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	! $(DEBIANS) || $(DEBIANS_VENV) || missing="$$missing python3-venv"; \
	test -z "$$missing" || { echo "installing Debian packages: $(DEBIAN_TEST)"; \
	test -e /usr/sbin/policy-rc.d || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && made=1; }; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN_TEST); code=$$?; \
	test -z "$$made" || rm -f /usr/sbin/policy-rc.d; \
	case "$$missing" in *influxd*|*victoria*) update-rc.d influxdb disable; update-rc.d victoria-metrics disable;; esac >/dev/null 2>&1; \
	exit $$code; }

deb: setup-test deb-tools
	deploy/debian/build

test-deb: deb
	$(BIN)/python -m pytest -q -m deb tests/packaging $(TEST_ARGS)

deb-tools:
	@command -v dpkg-deb >/dev/null && /usr/bin/python3 -c 'import venv' || { echo "installing Debian packages: $(DEBIAN_DEB)"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN_DEB); }

dashboards: setup-test
	$(BIN)/python -m dashboards.generate

lock:
	$(BIN)/python -m pip install -q pip-tools
	$(BIN)/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --allow-unsafe -o requirements/run.lock requirements/run.in
	$(BIN)/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --allow-unsafe -o requirements/test.lock requirements/test.in

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
