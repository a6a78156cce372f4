"""The network of train_digits.py and the same one in PyTorch: one loss curve, or exit 1.

Run where derive is installed with its extras [train] and [compare]:
``python benchmarks/compare_torch.py``. Same initial weights, same batches, float64, plain gradient
descent; after 50 steps every loss and every parameter is the same to 1e-9 relative.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from train_digits import INPUT, NETWORK, Digits, batches, digits

import derive

STEPS, BATCH, RATE, SEED, BOUND = 50, 32, 0.1, 0, 1e-9


def scores(x: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
    """NETWORK up to its loss, in PyTorch's words."""
    f = torch.nn.functional
    for name in ("conv1", "conv2"):
        x = f.conv2d(x, p[f"{name}.w"], p[f"{name}.b"], padding=1)
        x = f.max_pool2d(f.relu(x), 2)
    return f.linear(x.flatten(1), p["dense1.w"], p["dense1.b"])


def drawn(data: Digits) -> list[np.ndarray]:
    """The batch of every step."""
    random = np.random.default_rng(SEED)
    found: list[np.ndarray] = []
    while len(found) < STEPS:
        found += batches(len(data.x), BATCH, random)
    return found[:STEPS]


def by_derive(
    data: Digits, start: dict[str, np.ndarray]
) -> tuple[list[float], dict[str, np.ndarray]]:
    """The loss before each step and after the last, and the parameters then."""
    module = derive.derive(derive.network(NETWORK, input=INPUT)).kernel()
    params, losses = dict(start), []
    for chosen in drawn(data):
        loss, grads = module.gradients(data.x[chosen], data.t[chosen], params)
        params = module.sgd_step(params, grads, RATE)
        losses.append(loss)
    return [*losses, module.loss(data.x, data.t, params)], params


def by_torch(
    data: Digits, start: dict[str, np.ndarray]
) -> tuple[list[float], dict[str, np.ndarray]]:
    """The same in PyTorch: its autograd, its optimiser."""
    params = {name: torch.tensor(p, requires_grad=True) for name, p in start.items()}
    descent, losses = torch.optim.SGD(params.values(), lr=RATE), []
    x, t = torch.tensor(data.x), torch.tensor(data.t)
    for chosen in drawn(data):
        descent.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores(x[chosen], params), t[chosen])
        loss.backward()
        descent.step()
        losses.append(loss.item())
    with torch.no_grad():
        losses.append(torch.nn.functional.cross_entropy(scores(x, params), t).item())
    return losses, {name: p.detach().numpy() for name, p in params.items()}


def start_of() -> dict[str, np.ndarray]:
    """The weights that both begin with: those of the generated module's ``init``."""
    return derive.derive(derive.network(NETWORK, input=INPUT)).kernel().init(SEED)


def farthest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """|a − b| / |b|, in the greatest entries: the relative distance of two arrays."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main() -> int:
    """Print the distances."""
    data, start = digits(SEED), start_of()
    (ours, p), (theirs, q) = by_derive(data, start), by_torch(data, start)
    curve = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))
    print(f"loss over {STEPS} steps: {ours[0]:.6f} to {ours[-2]:.6f}, all images {ours[-1]:.6f}")
    print(f"loss curve: {curve:.1e} relative, at its worst step")
    worst = {name: farthest(p[name], q[name]) for name in p}
    for name, distance in worst.items():
        print(f"{name:<10}  {distance:.1e} relative")
    if max(curve, *worst.values()) > BOUND:
        print(f"derive and PyTorch {torch.__version__} differ by more than {BOUND:g}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
