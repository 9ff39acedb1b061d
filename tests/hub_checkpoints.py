"""Small real checkpoints for the tests of saving and publishing: model, tokenizer and card in a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from biglog.logs.masking import MASK_TOKENS
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

LINES = (
    "081109 203518 143 INFO dfs.DataNode: Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106",
    "generating core.2275",
    "ciod: failed to read message prefix on control stream",
)
CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: feature-extraction
tags: [logs, AIOps]
---
# A small checkpoint

For tests.
"""


def make_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Writes a checkpoint with weights drawn from `seed` and a vocabulary learned from `LINES`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", *MASK_TOKENS, "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ends
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=150,
    )
    torch.manual_seed(seed)
    config = BigLogConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BigLogForMaskedLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder
