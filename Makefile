# Short names for the commands of the project; each works without make, too.

python := .venv-tests/bin/python

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo:  ## start the example application
	example/run

test:  ## run the tests; arguments for pytest in ARGS="-k claim"
	tests/run $(ARGS)

lint: environment  ## check style, types and floors
	.venv-tests/bin/ruff check
	.venv-tests/bin/ruff format --check
	.venv-tests/bin/mypy
	.venv-tests/bin/lint-imports

format: environment  ## format the code and repair what ruff can repair
	.venv-tests/bin/ruff check --fix
	.venv-tests/bin/ruff format

docs: environment  ## build docs/ as pages in build/docs; a warning is an error
	$(python) -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo build/docs/index.html

pictures: environment  ## take the pictures of the panel that README.md and docs/ show, from the example
	$(python) scripts/screenshots.py

bench:  ## run the benchmarks
	python3 scripts/environment.py .venv-benchmarks requirements/benchmarks.txt requirements/example.txt
	.venv-benchmarks/bin/python -m benchmarks $(ARGS)

soak:  ## half an hour of kills and restarts; ARGS="sqlite" or ARGS="redis --minutes 30"
	python3 scripts/environment.py .venv-benchmarks requirements/benchmarks.txt requirements/example.txt
	.venv-benchmarks/bin/python -m benchmarks.soak $(or $(ARGS),sqlite)

messages: environment  ## collect the messages to translate and merge them into the catalogues
	$(python) setup.py --quiet extract_messages
	$(python) setup.py --quiet update_catalog

lowest:  ## run tests with the lowest versions that we allow
	scripts/lowest $(ARGS)

lock:  ## write requirements/*.txt anew; ARGS=--upgrade takes the newest versions
	scripts/lock $(ARGS)

environment:
	@python3 scripts/environment.py .venv-tests requirements/dev.txt requirements/example.txt requirements/docs.txt

.PHONY: help demo test lint format docs pictures bench soak messages lock lowest environment
