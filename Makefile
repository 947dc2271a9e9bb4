.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak storm verify fix advisories

help: ## Show this list
	@grep -E "^[a-z]+:.*##" $(MAKEFILE_LIST) | sed -E "s/:.*## /\t/" | expand -t 10

demo: ## Broker, services and an example app: events in, finished runs out
	python3 run.py demo

test: ## All checks and all tests
	python3 run.py test

check: ## Linters, types, import rules and unit tests
	python3 run.py check

advisories: ## Known vulnerabilities of pinned packages
	python3 run.py advisories

fix: ## Let ruff format and repair what it can
	python3 run.py setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

storm: ## Ten storms of 5,000 waiting runs, with kills
	python3 run.py setup
	PENSTOCK_STORMS=10 .venv/bin/pytest -x -s tests/integration/test_wait_storm.py

verify: ## An hour of verification, with a monkey that kills, stops, adds and removes processes
	python3 run.py setup
	.venv/bin/python -m tests.verify $${SEED:-1} --minutes $${MINUTES:-60}

soak: ## Twenty minutes at half of saturation: nothing may grow
	python3 run.py setup
	.venv/bin/python -m benchmarks.soak --minutes $${MINUTES:-20}

bench: ## The benchmark
	python3 run.py setup
	.venv/bin/python -m benchmarks
