"""Code that travels with the weights: a saved folder works where our packages are not installed."""

import json
import os
import subprocess
import sys

import pytest
import torch
from tiny import VOCABULARY, build, lines, windows
from wordpiece import wordpiece

from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining, BigLogForWindowClassification

# Runs where neither package can be found: the finder of an editable install is gone, and the folder is elsewhere.
STRANGER = """
import json, sys
OURS = {"biglog", "modeling_biglog"}
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
import torch, transformers
folder, name, inputs = sys.argv[1], sys.argv[2], torch.load(sys.argv[3])
try:
    getattr(transformers, name).from_pretrained(folder, trust_remote_code=False)
    raise SystemExit("it loaded without trust")
except ValueError:
    pass
model = getattr(transformers, name).from_pretrained(folder, trust_remote_code=True)
encoder = transformers.AutoModel.from_pretrained(folder, trust_remote_code=True)
tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model.save_pretrained(sys.argv[4])
again = getattr(transformers, name).from_pretrained(sys.argv[4], trust_remote_code=True)
with torch.no_grad():
    outputs = [m(**inputs).to_tuple()[0].tolist() for m in (model, again)]
print(json.dumps({
    "classes": [type(m).__name__ for m in (model, encoder, again)],
    "modules": [type(model).__module__.split(".")[0], *sorted(OURS & set(sys.modules))],
    "outputs": outputs,
    "tokens": tokenizer.model_max_length,
}))
"""


@pytest.mark.parametrize(
    ("cls", "auto", "inputs"),
    [
        (BigLogForMaskedLM, "AutoModelForMaskedLM", lines()),
        (BigLogForPreTraining, "AutoModelForPreTraining", lines()),
        (BigLogForWindowClassification, "AutoModelForSequenceClassification", windows()),
    ],
)
def test_a_stranger_loads_the_folder(cls, auto, inputs, tmp_path):
    model = build(cls)
    model.save_pretrained(tmp_path / "checkpoint")
    wordpiece(VOCABULARY).save_pretrained(tmp_path / "checkpoint")
    torch.save(inputs, tmp_path / "inputs.pt")
    arguments = [tmp_path / "checkpoint", auto, tmp_path / "inputs.pt", tmp_path / "again"]
    environment = os.environ | {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *map(str, arguments)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["classes"] == [cls.__name__, "BigLogModel", cls.__name__]
    assert answer["modules"] == ["transformers_modules"]
    assert answer["tokens"] == 150
    wanted = model(**inputs).to_tuple()[0]
    for outputs in answer["outputs"]:
        torch.testing.assert_close(torch.tensor(outputs), wanted)
