# Tasks of contributors and of CI, run in the environment that is active: pip install -e '.[test,lint]'
.PHONY: test lint types docs browser peers oldest newest coverage wheel sdist
PYTHON ?= python3.13
TESTS ?= tests/packaging tests/models --few 3

test:                      # everything that needs no further tool, doctests included
	pytest

lint:                      # style, types, and the size of the package
	ruff check
	ruff format --check
	mypy
	mypy tinygrad_lr/__init__.py tinygrad_lr/array/protocols.py   # the sources behind the stubs
	python -m docs.layout

types:                     # mypy --strict and pyright on a user's programs; pip install -e '.[types]'
	rm -rf dist && pip wheel --quiet --no-deps --wheel-dir dist .
	WHEEL=$$(realpath dist/*.whl) pytest -n 0 tests/packaging/test_types.py

docs:                      # write the generated pages of docs/ anew
	python -m docs.make

browser:                   # the explorer's pages in a headless Chromium; pip install -e '.[browser]'
	REQUIRE_BROWSER=1 pytest tests/explorer/test_explorer_browser.py

peers:                     # PyTorch, JAX and others agree; pip install -e '.[bench]'
	pytest tests/engine/test_torch.py tests/engine/test_conventions.py tests/docs/test_benchmarks.py \
		-W error::pytest.PytestWarning

oldest:                    # the engine on the oldest NumPy that is allowed
	pip install --quiet numpy==2.0.0
	pytest tests/engine/test_tensor.py tests/models

newest:                    # what depends on Python itself, on another one: make newest PYTHON=...
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/pip install --quiet -e '.[test]'
	build/newest/bin/python --version
	build/newest/bin/pytest --few 20 tests/naming tests/drawing tests/check/test_check.py \
		tests/packaging

coverage:                  # branch coverage; on Python 3.14, where tracers do not hide each other
	COVERAGE_CORE=sysmon pytest --cov --cov-report=term:skip-covered

wheel:                     # a wheel in an environment without extras: the README's examples
	rm -rf dist && pip wheel --quiet --no-deps --wheel-dir dist .
	python -m venv --clear build/bare && build/bare/bin/pip install --quiet dist/*.whl
	cd build && bare/bin/python -m tinygrad_lr && bare/bin/python -m tinygrad_lr demo > demo.txt
	cd build && bare/bin/python -m doctest -o ELLIPSIS ../README.md

sdist:                     # the tests that an sdist has: make sdist TESTS=tests runs all of them
	rm -rf dist build/sdist && python -m build --quiet --sdist && mkdir -p build/sdist
	tar --extract --file dist/*.tar.gz --directory build/sdist --strip-components 1
	cd build/sdist && pytest $(TESTS)
