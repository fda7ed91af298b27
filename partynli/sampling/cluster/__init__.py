"""The same plan on a Ray cluster: one driver, which alone touches the run, and workers, which alone call models.

`placement` says which participants live together, `mail` what driver and workers say to each other, `worker` is an
ordinary engine whose ledger asks the driver, `desk` is the driver's book of what a lane was given, `driver` brings them
together. Only `driver` knows Ray, and is imported only when it is asked for.
"""
