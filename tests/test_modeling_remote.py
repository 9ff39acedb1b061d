"""Code that travels with the weights: a saved folder works where our packages are not installed."""

import json
import os
import subprocess
import sys

import torch
from tiny import VOCABULARY, build, inputs_for
from wordpiece import wordpiece

from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining, BigLogForWindowClassification

# Runs where neither package can be found: not through an editable install's finder, nor from a folder.
STRANGER = """
import json, sys
OURS = {"biglog", "modeling_biglog"}
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
import torch, transformers

def load(auto, folder):
    return getattr(transformers, auto).from_pretrained(folder, trust_remote_code=True)

answers = []
for auto in sys.argv[1:]:
    try:
        getattr(transformers, auto).from_pretrained(auto, trust_remote_code=False)
        raise SystemExit(f"{auto} loaded without trust")
    except ValueError:
        pass
    model, encoder = load(auto, auto), load("AutoModel", auto)
    tokenizer = load("AutoTokenizer", auto)
    model.save_pretrained(auto + "_again")
    again = load(auto, auto + "_again")
    with torch.no_grad():
        outputs = [m(**torch.load(auto + ".pt")).to_tuple()[0].tolist() for m in (model, again)]
    answers.append({
        "classes": [type(m).__name__ for m in (model, encoder, again)],
        "home": type(model).__module__.split(".")[0],
        "outputs": outputs,
        "tokens": tokenizer.model_max_length,
    })
assert not OURS & set(sys.modules)
print(json.dumps(answers))
"""

MODELS = {
    "AutoModelForMaskedLM": BigLogForMaskedLM,
    "AutoModelForPreTraining": BigLogForPreTraining,
    "AutoModelForSequenceClassification": BigLogForWindowClassification,
}


def test_a_stranger_loads_the_folders(tmp_path):
    wanted = []
    for auto, cls in MODELS.items():
        model = build(cls)
        model.save_pretrained(tmp_path / auto)
        wordpiece(VOCABULARY).save_pretrained(tmp_path / auto)
        torch.save(inputs_for(model), tmp_path / f"{auto}.pt")
        wanted.append(model(**inputs_for(model)).to_tuple()[0])
    environment = os.environ | {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *MODELS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for answer, cls, expected in zip(answers, MODELS.values(), wanted, strict=True):
        assert answer["classes"] == [cls.__name__, "BigLogModel", cls.__name__]
        assert answer["home"] == "transformers_modules"
        assert answer["tokens"] == 150
        for outputs in answer["outputs"]:
            torch.testing.assert_close(torch.tensor(outputs), expected)
