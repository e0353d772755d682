"""Which of the real images has the generator given away? Ranks phantoms whose truth is known, from arrays in memory."""

import fingerprint

demo = fingerprint.phantoms.demo(n_used=20, n_unused=20, n_fake=300, size=128)

ranking = fingerprint.rank(demo.real, demo.fake)
print(ranking)

used = dict(zip(demo.real.names, demo.used.tolist(), strict=True))
found = fingerprint.evaluate([used[name] for name in ranking.names], ranking.scores)
print(f"\nAUC {found.roc_auc.value:.2f}, 95 % interval {found.roc_auc.low:.2f} to {found.roc_auc.high:.2f}")
