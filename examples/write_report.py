"""Everything on one page: writes the decision, the scores and the strongest evidence as ranking.html."""

import fingerprint

demo = fingerprint.phantoms.demo(n_used=20, n_unused=20, n_fake=300, size=128)

ranking = fingerprint.rank(demo.real, demo.fake, groups=demo.groups)
ranking.report("ranking.html", top=5)
print("Open ranking.html in a browser.")
