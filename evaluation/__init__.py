"""How good are the scores and the pitches? `make eval`; docs/evaluation.md says what is measured."""
