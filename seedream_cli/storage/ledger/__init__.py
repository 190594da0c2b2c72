"""The only code that touches SQLite: jobs, attempts, answers, images, and who owns them."""
