# Two commands: `make demo` and `make test`. Each sets up .venv by itself, and again only when the requirements change.
PYTHON ?= python3
BIN := .venv/bin
# the tests that PostgreSQL might answer otherwise than SQLite
ROWS := tests/engine tests/incidents tests/intake tests/remediation tests/tickets tests/catalog tests/guardrails tests/playbook tests/rollouts
.DEFAULT_GOAL := help
.PHONY: help demo stop drill test test-postgres torture check bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: .venv/lab ## run the platform and its lab, break it, watch it heal; ONCE=1 ends after that
	@$(BIN)/python manage.py demo $(if $(ONCE),--once) $(if $(ALERTING),--alerting $(ALERTING)) $(if $(JSON),--json)

stop: .venv/runtime ## stop a demo that was left running
	@$(BIN)/python manage.py demo --stop

drill: .venv/lab ## run one experiment against the running demo: make drill NAME=payments/hung
	@$(BIN)/python manage.py drill $(if $(NAME),$(NAME),--list) $(if $(JSON),--json)

test: .venv/dev .venv/lab ## run all tests; SHORT=1 leaves out the repeated drills
	@$(BIN)/python -m pytest $(if $(SHORT),-m "not slow") $(ARGS)

test-postgres: .venv/dev .venv/lab ## run what is sensitive to the database on a PostgreSQL that it starts itself
	@$(BIN)/python -m tests.torture.postgres $(BIN)/python -m pytest -m "django_db and not slow" $(or $(ARGS),$(ROWS))

torture: .venv/dev .venv/lab ## kill real processes under load and count what is lost: ROUNDS=20 SEED=1 DATABASE=both
	@$(BIN)/python -m tests.torture $(or $(ROUNDS),20) --seed $(or $(SEED),1) --database $(or $(DATABASE),both) $(if $(JSON),--json)

bench: .venv/dev .venv/lab ## how fast intake and loop are, into var/bench.json; ROUNDS=10 drills, ONLY=accepted,storm,drills,... some of it
	@$(BIN)/python -m tests.benchmarks --rounds $(or $(ROUNDS),10) $(if $(ONLY),--only $(ONLY))

check: .venv/dev ## lint, types, layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache
	@SRE_SECRET_KEY=check $(BIN)/python manage.py makemigrations --check --dry-run

clean: ## remove all that was written under var/
	@test ! -x $(BIN)/python || $(BIN)/python manage.py demo --stop
	@rm -rf var

.venv/runtime: requirements.txt setup.sh
	@sh setup.sh "$(PYTHON)" requirements.txt && touch $@

.venv/dev: requirements-dev.txt .venv/runtime
	@sh setup.sh "$(PYTHON)" requirements-dev.txt && touch $@

.venv/lab: requirements-lab.txt .venv/runtime
	@sh setup.sh "$(PYTHON)" --lab requirements-lab.txt && touch $@
