"""KIE.ai: market jobs and the older endpoint."""
