"""The models, and their registration with transformers' Auto classes and PEFT.

The `*_biglog` modules travel with the weights; this one and `export_bert` stay here. Importing it is cheap:
models load when they are first used, and registration with a library takes place when that library is
imported, before or after.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from .configuration_biglog import BigLogConfig
    from .export_bert import as_bert
    from .modeling_biglog import (
        BigLogForMaskedLM,
        BigLogForPreTraining,
        BigLogForSequenceClassification,
        BigLogForTokenClassification,
        BigLogModel,
    )
    from .window_biglog import BigLogForWindowClassification

__all__ = [
    "BigLogConfig",
    "BigLogForMaskedLM",
    "BigLogForPreTraining",
    "BigLogForSequenceClassification",
    "BigLogForTokenClassification",
    "BigLogForWindowClassification",
    "BigLogModel",
    "as_bert",
]

# Public names that do not live in modeling_biglog.py.
_HOMES = {
    "BigLogConfig": "configuration_biglog",
    "BigLogForWindowClassification": "window_biglog",
    "as_bert": "export_bert",
}

_MODELS = {
    "MODEL_MAPPING": ("BigLogModel",),
    "MODEL_FOR_MASKED_LM_MAPPING": ("BigLogForMaskedLM",),
    "MODEL_FOR_PRETRAINING_MAPPING": ("BigLogForPreTraining",),
    # Two classifiers: the config's `architectures` decides, and the first is the default.
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING": (
        "BigLogForSequenceClassification",
        "BigLogForWindowClassification",
    ),
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING": ("BigLogForTokenClassification",),
}


def _home(name: str) -> str:
    return _HOMES.get(name, "modeling_biglog")


def __getattr__(name: str) -> Any:
    """Loads a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_home(name)}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _lazily(name: str) -> Any:
    # Hooks run in the middle of importing transformers, when our classes can't be built yet: a proxy stands
    # in for one in the library's tables, and turns into it at the first look.
    return wrapt.lazy_import(f"{__name__}.{_home(name)}", name)


def _register_config(configuration_auto: ModuleType) -> None:
    configuration_auto.CONFIG_MAPPING.register("biglog", _lazily("BigLogConfig"), exist_ok=True)


def _register_classes(configuration_biglog: ModuleType) -> None:
    # The other tables are keyed by the config's class. Nobody asks them about it before it is there.
    config = configuration_biglog.BigLogConfig

    def register_models(modeling_auto: ModuleType) -> None:
        for mapping, names in _MODELS.items():
            classes = tuple(_lazily(name) for name in names)
            value = classes if len(classes) > 1 else classes[0]
            getattr(modeling_auto, mapping).register(config, value, exist_ok=True)

    def register_tokenizer(tokenization_auto: ModuleType) -> None:
        # AutoTokenizer goes by tokenizer_config.json and needs no entry; pipelines look for one.
        backend = tokenization_auto.TokenizersBackend
        tokenization_auto.AutoTokenizer.register(config, tokenizer_class=backend, exist_ok=True)

    wrapt.register_post_import_hook(register_models, "transformers.models.auto.modeling_auto")
    wrapt.register_post_import_hook(register_tokenizer, "transformers.models.auto.tokenization_auto")


def _register_peft(constants: ModuleType) -> None:
    # Every PEFT method with default target modules for BERT gets them for us: the modules' names are BERT's.
    for name, table in vars(constants).items():
        if name.startswith("TRANSFORMERS_MODELS_TO_") and "bert" in table:
            table.setdefault("biglog", table["bert"])


wrapt.register_post_import_hook(_register_config, "transformers.models.auto.configuration_auto")
wrapt.register_post_import_hook(_register_classes, f"{__name__}.configuration_biglog")
wrapt.register_post_import_hook(_register_peft, "peft.utils.constants")
