"""Run by torchrun in two processes: a model is sharded, and put together again."""

import sys

import torch
import torch.distributed as dist
from tiny import build, lines
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from biglog.training.sharded import finite, gathered
from modeling_biglog import BigLogForMaskedLM

dist.init_process_group("gloo")
mesh = dist.init_device_mesh("cpu", (2,))
plain, model = build(BigLogForMaskedLM), build(BigLogForMaskedLM)
for layer in model.bert.encoder.layer:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
batch = lines()
gradients = [p.detach().clone() for p in model.parameters()]  # gloo cannot gather for a sharded forward pass
assert any(isinstance(gradient, DTensor) for gradient in gradients)
assert finite(gradients)
gradients[0].to_local().fill_(float("nan"))
assert not finite(gradients)
whole = gathered(model)
assert type(whole) is BigLogForMaskedLM
assert gathered(whole) is whole
assert not whole.training
for name, value in plain.state_dict().items():
    assert torch.equal(whole.state_dict()[name], value), name
assert torch.equal(whole(**batch).logits, plain(**batch).logits)
assert whole.cls.predictions.decoder.weight is whole.get_input_embeddings().weight
dist.barrier()
dist.destroy_process_group()
sys.stdout.write(f"whole {dist.is_initialized()}\n")
