"""All that touches pictures on disk: names, formats, digests, temporary files, final names."""
