"""A release report: the verdict, what to withhold and the evidence on one page, and the same page without names."""

import fingerprint

demo = fingerprint.phantoms.demo(n_used=20, n_unused=20, n_fake=300, leak=0.2, size=128)
used, unused = demo.real.pixels[demo.used], demo.real.pixels[~demo.used]

audit = fingerprint.audit(used, unused, demo.fake)
audit.report("release.html", title="Release of the phantoms", notes="Made for the example.", top=5)
salt = audit.report("release_without_names.html", images=False)
audit.withhold().to_csv("withhold.csv")
print(audit.withhold().verdict)
print(f"Open release.html in a browser. The names in the other page are hashed with the salt {salt}.")
