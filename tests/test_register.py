"""Importing biglog: light, and enough for transformers and PEFT to know our models, in any order."""

import json
import subprocess
import sys

import pytest
from tiny import build

import biglog
from modeling_biglog import BigLogForMaskedLM, BigLogForWindowClassification

HEAVY = ("torch", "transformers", "tokenizers", "polars", "numpy", "peft", "datasets", "huggingface_hub")


def python(program, *arguments):
    """Runs a program in a fresh interpreter and returns what it prints last, as JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("package", ["biglog", "modeling_biglog"])
def test_the_import_is_light(package):
    program = f"import json, sys, {package}; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert python(program) == []


def test_public_names_are_few_and_all_there():
    assert len(biglog.__all__) <= 12
    assert set(biglog.__all__) <= set(dir(biglog))
    for name in biglog.__all__:
        assert getattr(biglog, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = biglog.nonsense


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    build(BigLogForMaskedLM).save_pretrained(folder / "tokens")
    build(BigLogForWindowClassification).save_pretrained(folder / "window")
    return folder


# Modules whose import is under way when transformers reaches its Auto classes differ from one to the next.
ORDERS = [
    "import biglog",
    "import biglog; from transformers import BertModel",
    "import biglog; from transformers import Trainer",
    "import biglog; import peft",
    "from transformers import AutoModel; import biglog",
    "import peft; import biglog",
]

# Each order has a process of its own. They are forked where torch is there already, which halves the time.
USE = """
import json, os, sys
import torch, datasets
assert not [name for name in sys.modules if name.split(".")[0] in ("transformers", "peft", "biglog")]

def use(order, folder):
    exec(order, {})
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
    from peft import LoraConfig, get_peft_model
    model = AutoModelForMaskedLM.from_pretrained(folder + "/tokens")
    get_peft_model(model, LoraConfig())
    others = [AutoConfig.from_pretrained(folder + "/tokens"), AutoModel.from_pretrained(folder + "/window"),
              AutoModelForSequenceClassification.from_pretrained(folder + "/window")]
    return [type(thing).__name__ for thing in (model, *others)]

pipes = {}
for order in json.loads(sys.argv[2]):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = use(order, sys.argv[1])
        except Exception as error:
            answer = repr(error)
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    pipes[order] = os.fdopen(read)
print(json.dumps({order: json.loads(pipe.read() or "null") for order, pipe in pipes.items()}))
"""


def test_any_order_of_imports(checkpoints):
    wanted = ["BigLogForMaskedLM", "BigLogConfig", "BigLogModel", "BigLogForWindowClassification"]
    assert python(USE, checkpoints, json.dumps(ORDERS)) == dict.fromkeys(ORDERS, wanted)
