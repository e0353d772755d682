"""Watch whether a model begins to give its training images away, over its checkpoints.

The model is pretended: at each step a growing share of what it samples is remembered. In a training loop the samples
are those of the model, tensors as they are.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fingerprint

STEPS, BATCHES = range(0, 5000, 1000), 4

used, unused = fingerprint.phantoms.thorax(40, size=64, seed=1), fingerprint.phantoms.thorax(40, size=64, seed=2)
labels = np.repeat([True, False], 40)
stream = fingerprint.Stream(np.concatenate([used, unused]))

curve = []
for step in STEPS:
    stream.reset()
    for batch in range(BATCHES):
        samples = fingerprint.phantoms.generate(used, 50, leak=step / 5000, seed=step + batch)[0]
        stream.update(samples)
    ranking = stream.ranking()
    auc = fingerprint.evaluate(labels[ranking.order], ranking.scores).roc_auc
    curve.append(auc)
    print(f"step {step}: AUC {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}), {len(ranking.copies)} copies")

figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
values = np.array([auc.value for auc in curve])
spread = [values - [auc.low for auc in curve], [auc.high for auc in curve] - values]
axes.errorbar(STEPS, values, yerr=spread, marker="o", capsize=3)
axes.axhline(0.5, color="grey", linestyle=":")
axes.set(xlabel="training step", ylabel="AUC, used against unused", ylim=(0, 1.02), title="0.5 = no leak seen")
figure.savefig("leak.png", dpi=150)
print(f"Wrote {Path('leak.png').resolve()}")
