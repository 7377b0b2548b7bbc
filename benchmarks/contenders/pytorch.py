"""Contender: PyTorch eager, the fastest form found on a CPU: channels_last and fused Adam."""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH = 64


def read(file: Path) -> np.ndarray:
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


folder, precision = Path(sys.argv[1]), sys.argv[2]
images = torch.from_numpy(read(folder / "train-images-idx3-ubyte.gz")[5000:, np.newaxis] / np.float32(255))
labels = torch.from_numpy(read(folder / "train-labels-idx1-ubyte.gz")[5000:].astype(np.int64))

model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2),
    nn.MaxPool2d(2),
    nn.ReLU(),
    nn.Conv2d(16, 36, 5, padding=2),
    nn.MaxPool2d(2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(1764, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
).to(memory_format=torch.channels_last)
for name, parameter in model.named_parameters():
    if name.endswith("bias"):
        nn.init.constant_(parameter, 0.05)
    else:
        nn.init.trunc_normal_(parameter, std=0.05, a=-0.1, b=0.1)
assert sum(parameter.numel() for parameter in model.parameters()) == 242_062
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)


def train(iterations: int) -> float:
    order = torch.cat([torch.randperm(len(images)) for _ in range(1 + iterations * BATCH // len(images))])
    for chosen in order[: iterations * BATCH].split(BATCH):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(images[chosen].contiguous(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits, labels[chosen])
        loss.backward()
        optimizer.step()
    return loss.item()


train(10)
versions = {"torch": torch.__version__}
print(json.dumps({"contender": "pytorch", "versions": versions, "precision": precision}), flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "quit":
        break
    iterations = int(arguments[0])
    started = time.perf_counter()
    loss = train(iterations)
    seconds = time.perf_counter() - started
    print(json.dumps({"iterations": iterations, "seconds": seconds, "loss": loss}), flush=True)
