"""Which kinds of reasoning people and models give for their labels (after Kulmizev et al. 2026, section 5.2).

The paper coded twelve items by hand, with categories that it left open. Here a coder, model or person, names one of the
eight categories of LiTEx for each explanation, and is measured against LiTEx's own coders first: ours, and no
reproduction. `material` is what can be coded, `validation` what a coder is worth, `counting` what comes out.
"""
