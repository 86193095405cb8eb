# Tasks of contributors and of CI, run in the environment that is active: pip install -e '.[test,lint]'
.PHONY: test lint docs browser peers oldest

test:                      # everything that needs no further tool, doctests included
	pytest

lint:                      # style, types, and the size of the package
	ruff check
	ruff format --check
	mypy
	python -m docs.layout

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
