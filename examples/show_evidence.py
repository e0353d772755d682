"""Where does a synthetic image match a real one? Saves a picture of the strongest evidence as evidence.png."""

import fingerprint

demo = fingerprint.phantoms.demo(n_used=30, n_unused=30, n_fake=300)

ranking = fingerprint.rank(demo.real, demo.fake)
evidence = ranking.evidence(0)
evidence.image().save("evidence.png")

print(f"{evidence.name} and {evidence.match.name}: gain {evidence.where.total:.0f} over other real images")
for y, x, top, left, gain in evidence.rectangles(3):
    print(f"  the patch at row {y}, column {x} matches at row {top}, column {left} (gain {gain:.1f})")
