"""Several slices of each patient: they are not compared with each other, and the ranking can be read by patient."""

import fingerprint

demo = fingerprint.phantoms.demo(n_used=24, n_unused=24, n_fake=300, size=128, slices_per_patient=4)

ranking = fingerprint.rank(demo.real, demo.fake, groups=demo.groups)
used = dict(zip(demo.groups, demo.used.tolist(), strict=True))
for patient in ranking.by_group():
    slices = ", ".join(f"{row.score:.2f}" for row in patient.rows)
    print(f"{patient.name}  {patient.score:6.2f}  ({slices})  {'used' if used[patient.name] else 'not used'}")
