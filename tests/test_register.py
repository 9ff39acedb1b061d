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


USE = """
import json, sys
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from peft import LoraConfig, get_peft_model
folder = sys.argv[1]
model = AutoModelForMaskedLM.from_pretrained(folder + "/tokens")
adapted = get_peft_model(model, LoraConfig())
others = [AutoConfig.from_pretrained(folder + "/tokens"), AutoModel.from_pretrained(folder + "/window"),
          AutoModelForSequenceClassification.from_pretrained(folder + "/window")]
print(json.dumps([type(x).__name__ for x in (model, *others)]))
"""

# Modules whose import is under way when transformers reaches its Auto classes differ from one to the next.
FIRST = [
    "import biglog",
    "import biglog; from transformers import BertModel",
    "import biglog; from transformers import GPT2Model",
    "import biglog; from transformers import Trainer",
    "import biglog; from transformers import AutoTokenizer",
    "import biglog; from transformers import pipeline",
    "import biglog; import peft",
    "from transformers import AutoModel; import biglog",
    "import transformers.models.auto.configuration_auto; import biglog",
    "import peft; import biglog",
    "from modeling_biglog import BigLogModel",
]


def test_any_order_of_imports(checkpoints):
    # Four interpreters at a time; each spends its time importing torch and transformers.
    wanted = ["BigLogForMaskedLM", "BigLogConfig", "BigLogModel", "BigLogForWindowClassification"]
    commands = {first: [sys.executable, "-c", first + USE, str(checkpoints)] for first in FIRST}
    for start in range(0, len(FIRST), 4):
        batch = {
            first: subprocess.Popen(
                commands[first], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for first in FIRST[start : start + 4]
        }
        for first, process in batch.items():
            out, err = process.communicate(timeout=280)
            assert process.returncode == 0, f"{first}\n{err}"
            assert json.loads(out.splitlines()[-1]) == wanted, first
