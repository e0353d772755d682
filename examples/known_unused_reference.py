"""With real images that were certainly not used, every score gets a p-value, and a list with a false discovery rate."""

import fingerprint
from fingerprint import phantoms

training = phantoms.thorax(20, seed=1, size=128)
unused = phantoms.thorax(80, seed=2, size=128)
fake, _, _ = phantoms.generate(training, 400, leak=0.2)

# half of the unused images are under test, half are the reference
real = fingerprint.load([training, unused[:40]])
ranking = fingerprint.rank(real, fake, reference=unused[40:])

print(ranking)
called = [row.name for row in ranking if row.q_value <= 0.2]
false = sum(int(name) >= len(training) for name in called)
print(f"\n{len(called)} images called used at a false discovery rate of 20 %; {false} of them falsely")
