# Two commands do all the set-up:   make demo   (the main job)   and   make test   (the tests).
# Both build what they need in .venv; PYTHON chooses the interpreter (3.11 or newer).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= demo-out
# How long `make fuzz` runs.
SECONDS ?= 600
# CSI to send through the demo; without it, COST2100 indoor channels are generated with a seed that
# no training run has used.
CSI    ?= $(OUT)/csi.npz

SOURCES := pyproject.toml CMakeLists.txt $(wildcard cmake/*.cmake runtime/src/*.[ch] \
           runtime/host/*.c runtime/include/csideploy/*.h runtime/python/*.[ch]pp kernels/*.h \
           kernels/reference/*.c kernels/vector/*.[ch] kernels/x86/*.h kernels/arm/*.h \
           kernels/training/*)

.PHONY: demo test bench targets size larq flips fuzz lint typing clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# An editable install, so that the zoo is found beside the package.
$(VENV)/base.stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet -e .
	touch $@

# torch is named with its version in the same command as all that asks for it: left open, pip may
# fetch a build of several gigabytes.
$(VENV)/dev.stamp: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet "torch==2.13.0" "onnx==1.21.0" -e ".[train,dev]" \
	  --config-settings=cmake.define.CSIDEPLOY_WERROR=ON
	touch $@ $(VENV)/base.stamp

$(OUT)/csi.npz: | $(VENV)/base.stamp
	mkdir -p $(OUT)
	$(BIN)/csideploy data generate --scenario indoor --samples 3000 --seed 20260 --out $@

demo: $(VENV)/base.stamp $(CSI)
	mkdir -p $(OUT)
	$(BIN)/csideploy export --model bacrnet10x --out $(OUT)/bacrnet10x --force
	$(BIN)/csideploy encode $(OUT)/bacrnet10x $(CSI) --out $(OUT)/p.bin
	$(BIN)/csideploy decode $(OUT)/bacrnet10x $(OUT)/p.bin --reference $(CSI) --out $(OUT)/h.npy
	$(BIN)/csideploy validate $(OUT)/bacrnet10x --reference $(CSI)
	$(BIN)/csideploy report $(OUT)/bacrnet10x
	$(BIN)/csideploy report $(OUT)/bacrnet10x --target cortex-m55 --target cortex-a76 \
	  --format html --out $(OUT)/report.html

test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -m "not slow"

# The same bits on every machine: emitted C under qemu, one hash a target. `make targets` says which
# apt packages it lacks.
targets: $(VENV)/base.stamp
	$(BIN)/python tests/targets/suite.py

# Code and arena of the UE encoder on a Cortex-M55 against their gates of 20 KiB.
size: $(VENV)/base.stamp
	$(BIN)/python tests/targets/size_gate.py

# All workloads beside their peers (benchmarks/README.md): three runs while a neighbour keeps a core
# half busy. Some 20 minutes; BENCH="--rows W1,W3" for less.
BENCH ?= --repeat 3 --busy
$(VENV)/bench.stamp: $(VENV)/base.stamp
	$(BIN)/python -m pip install --quiet -e ".[bench]"
	touch $@

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks $(BENCH)

# Larq needs NumPy 1 and so an environment of its own (1.8 GB, CPython 3.10 to 3.12). tf-keras without
# what it asks for, which is the whole of TensorFlow once more.
LARQ := build/larq-venv/bin
LARQ_PRECISION ?= auto
build/larq.stamp: $(SOURCES)
	$(PYTHON) -m venv build/larq-venv
	$(LARQ)/python -m pip install --quiet larq-compute-engine==0.16.0 larq==0.14.0 tensorflow-cpu==2.21.0
	$(LARQ)/python -m pip install --quiet --no-deps tf-keras==2.21.0 .
	touch $@

# The UE encoder as a Larq Compute Engine model, checked and timed beside ours (docs/larq.md).
larq: $(VENV)/base.stamp build/larq.stamp $(CSI)
	$(BIN)/csideploy export --model bacrnet10x --precision $(LARQ_PRECISION) --out $(OUT)/larq --force
	$(BIN)/python benchmarks/larq/weights.py $(OUT)/larq --csi $(CSI) --out $(OUT)/ue-larq.npz
	$(LARQ)/python benchmarks/larq/encoder.py $(OUT)/ue-larq.npz --out $(OUT)/ue.tflite

# The bundle cannot be made to crash the runtime: the long campaigns (tests/runtime/campaign.py).
flips: $(VENV)/dev.stamp
	$(BIN)/python tests/runtime/campaign.py flips

# Needs clang with libFuzzer (Debian: clang libclang-rt-dev).
fuzz: $(VENV)/dev.stamp
	$(BIN)/python tests/runtime/campaign.py fuzz --seconds $(SECONDS)

# mypy sees the package as it is installed: export/ and runtime/ inside csideploy/.
typing: $(VENV)/dev.stamp
	rm -rf build/typing && mkdir -p build/typing/csideploy
	ln -s $(CURDIR)/csideploy/* $(CURDIR)/export $(CURDIR)/runtime build/typing/csideploy/
	cd build/typing && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p csideploy

lint: typing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@longest=$$(LC_ALL=C; export LC_ALL; git ls-files '*.py' '*.c' '*.h' '*.cpp' | xargs wc -l | grep -v ' total$$' | sort -rn | head -n 1); \
	 echo "longest file: $$longest"; set -- $$longest; test $$1 -lt 600

clean:
	rm -rf $(VENV) build demo-out
