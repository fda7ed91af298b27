"""Studies that ask models something about a run: each builds a plan for the engine, and reads its answers."""
