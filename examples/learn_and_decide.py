"""Learn from real images whose use is known, and decide on others; each tell the other what all have in common."""

import numpy as np

import fingerprint

demo = fingerprint.phantoms.demo(n_used=60, n_unused=60, n_fake=600, leak=0.3, size=64)
known = np.arange(len(demo.used)) % 2 == 0  # half of the images, used and unused ones in random order
used, unused = (demo.real.pixels[known & (demo.used == label)] for label in (True, False))
unknown, truth = demo.real.pixels[~known], demo.used[~known]

detector = fingerprint.fit(used, unused, demo.fake, population=unknown)
print(detector)

predictions = detector.predict(unknown, demo.fake, population=[used, unused])
print(predictions)
print(fingerprint.evaluate(truth, predictions.used))
