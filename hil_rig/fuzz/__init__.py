"""Coverage-guided fuzzing of every door through which bytes come (``python -m hil_rig.fuzz``)."""
