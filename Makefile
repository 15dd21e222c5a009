# make tutorial   the environment, and JupyterLab on the first notebook
# make check      the environment, lint, types and the quick tests: for every save
# make test       the environment, and everything that is checked
# make figures    the post's fourteen figures and a page to look at them, without a browser
# make site       the notebooks as pages that need no kernel, in site/
# make teaching   slides and a page to print, from the notebooks' own figures, in teaching/
# make colab      every notebook as Colab would run it, with its versions of packages (5 GB more)
# make bench      this package beside its peers, its start and its player: ratios, printed and stored
# Needs Python 3.11 to 3.13 and make; PYTHON=python3.12 chooses one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOTEBOOK := notebooks/00_start_here.ipynb
# pip compiles what it installs, uv only when told: without it the first start takes twice as long.
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
	--constraint constraints.txt

# JupyterLab serves the whole repository, because the notebooks show pictures of docs/.
# As root it must be told that it may; without a screen it prints the address instead.
LAB := $(BIN)/jupyter lab --ServerApp.root_dir='$(CURDIR)' \
	--LabApp.default_url='/lab/tree/$(NOTEBOOK)' \
	$(if $(filter 0,$(shell id -u)),--allow-root) \
	$(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)),,--no-browser)
LAB_OPTIONS :=

.PHONY: tutorial check test lint figures site teaching colab bench clean

tutorial: $(VENV)/.tutorial
	$(LAB) $(LAB_OPTIONS)

check: $(VENV)/.test lint
	$(BIN)/python -m pytest -q -p no:nbval -n logical --maxprocesses 4 \
		-m "not slow and not browser and not data and not notebook"

# Where the tests are red the notebooks run all the same: one run tells everything.
test: $(VENV)/.test lint
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile; tests=$$?; \
	$(BIN)/python -m pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks \
		&& exit $$tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/lint-imports --no-logo --no-cache

figures: $(VENV)/.tutorial
	$(BIN)/gradcam-video figures --out figures

site: $(VENV)/.test
	$(BIN)/python scripts/build_site.py

teaching: $(VENV)/.test
	$(BIN)/python scripts/teaching_pages.py

colab: $(VENV)/.test
	$(BIN)/python scripts/colab_imitation.py

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

# uv makes the environment in a minute where pip takes four; pip brings uv.
$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip uv

$(VENV)/.tutorial: pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) --editable '.[notebooks]'
	$(BIN)/python -m compileall -q gradcam_video
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) --editable '.[test]' --group oracles
	$(BIN)/python -m compileall -q gradcam_video
	@touch $@ $(VENV)/.tutorial

clean:
	rm -rf $(VENV) .colab figures site teaching build *.egg-info
